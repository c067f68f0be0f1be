-- PostgreSQL (14 or newer): exposures and events to the CSV that sumsq reads.
--
--   psql -X -q -v ON_ERROR_STOP=1 -f postgres.sql > counts.csv
--   ./publish.sh counts.csv s3://com.my-company.counts/exports/counts.csv shop-conversions.yaml
--
-- It only reads, so it also runs on a standby. An earlier day's file again, the same bytes:
--   PGOPTIONS='-c sumsq.end_day=2026-03-01' psql ...
--
-- exposures  visitor_id, agent, variation, policy, exposed_at timestamptz, loyalty_status, device
-- events     event_id, visitor_id, event, amount numeric or double precision, occurred_at timestamptz
--
-- Verified by running: tests/exports, PostgreSQL 15.

COPY (
WITH settings AS (
  SELECT
    'America/New_York' AS time_zone,       -- whose calendar a day belongs to
    -- The first day that is not exported: today, which is not over yet.
    COALESCE(
      CAST(NULLIF(CURRENT_SETTING('sumsq.end_day', TRUE), '') AS DATE),
      CAST(CURRENT_TIMESTAMP AT TIME ZONE 'America/New_York' AS DATE)
    ) AS end_day,
    30 AS days,                            -- so many days before it; more than the window, and than data are late
    168 AS window_hours,                   -- each visitor's events count for so long: 7 days
    1000000 AS max_amount                  -- beyond it an amount is an error of the source, as NaN is
),

bounds AS (
  SELECT
    s.*,
    CAST(s.end_day - s.days AS TIMESTAMP) AT TIME ZONE s.time_zone AS begin_at,
    CAST(s.end_day AS TIMESTAMP) AT TIME ZONE s.time_zone AS end_at
  FROM settings AS s
),

-- 1. EACH VISITOR ONCE per agent: the first exposure says the day, the variation and the traits, and
--    later ones, also to another variation, change nothing. It is looked for in all exposures, not in
--    those of the exported days: else who comes again after a month would be counted a second time.
--    The rest of ORDER BY decides between two of the same instant, so that each run decides alike.
numbered_exposure AS (
  SELECT
    x.agent,
    x.visitor_id,
    x.variation,
    COALESCE(NULLIF(x.policy, ''), 'r') AS policy,
    -- Everybody has one value, so that the values of a trait add up to all visitors.
    COALESCE(NULLIF(x.loyalty_status, ''), 'none') AS loyalty_status,
    COALESCE(NULLIF(x.device, ''), 'unknown') AS device,
    x.exposed_at,
    ROW_NUMBER() OVER (
      PARTITION BY x.agent, x.visitor_id
      ORDER BY
        x.exposed_at, x.variation,
        COALESCE(x.policy, ''), COALESCE(x.loyalty_status, ''), COALESCE(x.device, '')
    ) AS nth
  FROM exposures AS x
  CROSS JOIN bounds AS b
  WHERE x.agent IS NOT NULL
    AND x.visitor_id IS NOT NULL
    AND x.variation IS NOT NULL
    AND x.exposed_at < b.end_at
),

first_exposure AS (
  SELECT
    n.agent,
    n.visitor_id,
    n.variation,
    n.policy,
    n.loyalty_status,
    n.device,
    n.exposed_at AS first_seen,
    CAST(n.exposed_at AT TIME ZONE b.time_zone AS DATE) AS day
  FROM numbered_exposure AS n
  CROSS JOIN bounds AS b
  WHERE n.nth = 1
    AND n.exposed_at >= b.begin_at
),

-- 2. EACH EVENT ONCE, by its id, however often it was delivered, with an amount that can be added up.
--    NaN and infinities are beyond max_amount, NULL is nowhere: the event counts, and is worth 0.
--    Refunds are negative, whichever sign the source gives them. (By GROUP BY: a planner expects so
--    few rows of ROW_NUMBER() = 1 that it may loop over all events for each visitor.)
clean_event AS (
  SELECT
    e.event_id,
    e.visitor_id,
    e.event,
    MIN(e.occurred_at) AS occurred_at,
    MIN(
      CASE
        WHEN e.event = 'order' AND e.amount >= 0 AND e.amount <= b.max_amount
          THEN CAST(e.amount AS NUMERIC(18, 2))
        WHEN e.event = 'refund' AND ABS(e.amount) <= b.max_amount
          THEN -CAST(ABS(e.amount) AS NUMERIC(18, 2))
        ELSE 0
      END
    ) AS amount
  FROM events AS e
  CROSS JOIN bounds AS b
  WHERE e.event IN ('add-to-cart', 'order', 'refund')
    AND e.occurred_at >= b.begin_at
    AND e.occurred_at < b.end_at
  GROUP BY e.event_id, e.visitor_id, e.event
),

-- 3. PER VISITOR, with all that happened in the window from the first exposure on. It stands on the
--    day of that exposure, however late it was. LEFT JOIN: who did nothing counts too, as 0.
per_visitor AS (
  SELECT
    x.day,
    x.agent,
    x.variation,
    x.policy,
    x.loyalty_status,
    x.device,
    x.visitor_id,
    CAST(MAX(CASE WHEN e.event = 'order' THEN 1 ELSE 0 END) AS BIGINT) AS purchase,
    CAST(SUM(CASE WHEN e.event = 'add-to-cart' THEN 1 ELSE 0 END) AS BIGINT) AS add_to_cart,
    CAST(SUM(CASE WHEN e.event = 'order' THEN 1 ELSE 0 END) AS BIGINT) AS orders,
    -- Decimals, not floats: 20.98 squared is 440.1604 and nothing else.
    CAST(SUM(CASE WHEN e.event = 'order' THEN e.amount ELSE 0 END) AS NUMERIC(18, 2)) AS orders_val,
    CAST(SUM(CASE WHEN e.event IN ('order', 'refund') THEN e.amount ELSE 0 END) AS NUMERIC(18, 2)) AS net_revenue_val
  FROM first_exposure AS x
  CROSS JOIN bounds AS b
  LEFT JOIN clean_event AS e
    ON e.visitor_id = x.visitor_id
    AND e.occurred_at >= x.first_seen
    AND e.occurred_at < x.first_seen + b.window_hours * INTERVAL '1 hour'
  GROUP BY x.day, x.agent, x.variation, x.policy, x.loyalty_status, x.device, x.visitor_id
)

-- 4. THEN sums and sums of squares: of all visitors, and again by each trait. The rows without a
--    trait are the totals; those with one are about the same visitors, to look closer.
SELECT
  CAST(EXTRACT(EPOCH FROM day) AS BIGINT) AS "Date",   -- midnight UTC of that calendar day
  agent AS "Agent",
  variation AS "Variation",
  policy AS "Policy",
  CASE
    WHEN GROUPING(loyalty_status) = 0 THEN 'loyalty-status'
    WHEN GROUPING(device) = 0 THEN 'device'
    ELSE ''
  END AS "Trait_Group",
  COALESCE(loyalty_status, device, '') AS "Trait_Value",
  COUNT(*) AS "Sels",
  SUM(purchase) AS "purchase",
  SUM(purchase * purchase) AS "purchase_sumsq",
  SUM(add_to_cart) AS "add_to_cart",
  SUM(add_to_cart * add_to_cart) AS "add_to_cart_sumsq",
  SUM(orders) AS "orders",
  SUM(orders * orders) AS "orders_sumsq",
  SUM(orders_val) AS "orders_val",
  SUM(orders_val * orders_val) AS "orders_val_sumsq",
  -- A refund takes from the value and is no event of its own: the count is that of orders.
  SUM(orders) AS "net_revenue",
  SUM(orders * orders) AS "net_revenue_sumsq",
  SUM(net_revenue_val) AS "net_revenue_val",
  SUM(net_revenue_val * net_revenue_val) AS "net_revenue_val_sumsq"
FROM per_visitor
GROUP BY GROUPING SETS (
  (day, agent, variation, policy),
  (day, agent, variation, policy, loyalty_status),
  (day, agent, variation, policy, device)
)
ORDER BY "Date", "Agent", "Variation", "Policy", "Trait_Group", "Trait_Value"
) TO STDOUT WITH (FORMAT csv, HEADER);
