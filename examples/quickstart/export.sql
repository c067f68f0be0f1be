-- The roll-up: from one row per exposure and one per event to counts and sums of squares per day.
-- This is the part to copy. It runs as it stands in PostgreSQL and DuckDB, to the same bytes;
-- docs/export.md says more; examples/exports has such queries for other warehouses too.
--
-- Nothing about a single visitor leaves the warehouse: only this query's result is uploaded.

WITH numbered_exposure AS (
  SELECT
    agent,
    visitor_id,
    variation,
    exposed_at AS first_seen,
    ROW_NUMBER() OVER (PARTITION BY agent, visitor_id ORDER BY exposed_at) AS nth
  FROM exposures
),

-- 1. EACH VISITOR ONCE per agent, on the day of the first exposure. A visitor who came on three
--    days and is counted on each of them makes the intervals too narrow (`dating: Exposure`).
first_exposure AS (
  SELECT agent, visitor_id, variation, first_seen, CAST(first_seen AS DATE) AS day
  FROM numbered_exposure
  WHERE nth = 1
),

-- 2. PER VISITOR FIRST, with all that happened in the seven days from the first exposure on, which
--    stands on the day of that exposure and not on its own. The squares below need it: a visitor
--    with 2 orders adds 2 to the sum and 4 to the sum of squares. Squaring each event would add 2,
--    squaring the day's total far too much.
--    LEFT JOIN: a visitor without any event counts too, as 0.
per_visitor AS (
  SELECT
    x.day,
    x.agent,
    x.variation,
    x.visitor_id,
    -- Everybody has one value, so that the values add up to all visitors; n = not a member.
    COALESCE(v.loyalty_status, 'n') AS loyalty_status,
    MAX(CASE WHEN e.event = 'order' THEN 1 ELSE 0 END) AS purchase,
    SUM(CASE WHEN e.event = 'add-to-cart' THEN 1 ELSE 0 END) AS add_to_cart,
    SUM(CASE WHEN e.event = 'order' THEN 1 ELSE 0 END) AS orders,
    -- Decimals, not floats: 20.98 squared is 440.1604 and nothing else.
    CAST(SUM(CASE WHEN e.event = 'order' THEN e.amount ELSE 0 END) AS DECIMAL(12, 2)) AS orders_val,
    CAST(SUM(CASE WHEN e.event IN ('order', 'refund') THEN e.amount ELSE 0 END) AS DECIMAL(12, 2)) AS net_revenue_val,
    SUM(CASE WHEN e.event = 'support-contact' THEN 1 ELSE 0 END) AS support_contact
  FROM first_exposure AS x
  LEFT JOIN visitors AS v
    ON v.visitor_id = x.visitor_id
  LEFT JOIN events AS e
    ON e.visitor_id = x.visitor_id
    AND e.occurred_at >= x.first_seen
    AND e.occurred_at < x.first_seen + INTERVAL '7' DAY
  GROUP BY x.day, x.agent, x.variation, x.visitor_id, v.loyalty_status
)

-- 3. THEN sums and sums of squares, over all visitors and again by loyalty status. The rows without
--    a trait are the totals; the rows with one are for looking closer.
SELECT
  -- Midnight UTC of the calendar day, in seconds.
  CAST(EXTRACT(EPOCH FROM day) AS BIGINT) AS "Date",
  agent AS "Agent",
  variation AS "Variation",
  CASE WHEN GROUPING(loyalty_status) = 0 THEN 'loyalty-status' END AS "Trait_Group",
  loyalty_status AS "Trait_Value",
  COUNT(*) AS "Sels",
  SUM(purchase) AS "purchase",
  SUM(purchase * purchase) AS "purchase_sumsq",
  SUM(add_to_cart) AS "add-to-cart",
  SUM(add_to_cart * add_to_cart) AS "add-to-cart_sumsq",
  SUM(orders) AS "orders",
  SUM(orders * orders) AS "orders_sumsq",
  SUM(orders_val) AS "orders_val",
  SUM(orders_val * orders_val) AS "orders_val_sumsq",
  -- A refund takes from the value but is no event of its own.
  SUM(orders) AS "net-revenue",
  SUM(orders * orders) AS "net-revenue_sumsq",
  SUM(net_revenue_val) AS "net-revenue_val",
  SUM(net_revenue_val * net_revenue_val) AS "net-revenue_val_sumsq",
  SUM(support_contact) AS "support-contact",
  SUM(support_contact * support_contact) AS "support-contact_sumsq"
FROM per_visitor
GROUP BY GROUPING SETS (
  (day, agent, variation),
  (day, agent, variation, loyalty_status)
)
ORDER BY "Date", "Agent", "Variation", "Trait_Group" NULLS FIRST, "Trait_Value"
