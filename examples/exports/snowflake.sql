-- Snowflake: exposures and events to the CSV that sumsq reads.
--
--   snow sql -f snowflake.sql
--   ./publish.sh s3://com.my-company.counts/staging/counts.csv s3://com.my-company.counts/exports/counts.csv shop-conversions.yaml
--
-- Once, by who may: CREATE STAGE counts_stage URL = 's3://com.my-company.counts/staging/'
--   STORAGE_INTEGRATION = counts_integration;
--
-- exposures  visitor_id, agent, variation, policy, exposed_at timestamp_tz, _ltz, or _ntz in UTC, loyalty_status, device
-- events     event_id, visitor_id, event, amount number or float, occurred_at the same
--
-- Verified: not run in this warehouse. Parsed as its dialect, and translated into DuckDB's it gives
-- the same rows (tests/exports); the rest is by the documentation.
--
-- SINGLE = TRUE fails beyond MAX_FILE_SIZE, which is at most 5 GB. COMPRESSION = GZIP or ZSTD is read
-- as well; leave the file's name as it is.

-- Timestamps without a zone, and midnights, are UTC's in what follows.
ALTER SESSION SET TIMEZONE = 'UTC';

COPY INTO @counts_stage/counts.csv FROM (
WITH settings AS (
  SELECT
    'America/New_York' AS time_zone,       -- whose calendar a day belongs to
    -- The first day that is not exported: today, which is not over yet.
    -- For an earlier day's file again: DATE '2026-03-01' AS end_day
    CAST(CONVERT_TIMEZONE('America/New_York', CURRENT_TIMESTAMP()) AS DATE) AS end_day,
    30 AS days,                            -- so many days before it; more than the window, and than data are late
    168 AS window_hours,                   -- each visitor's events count for so long: 7 days
    1000000 AS max_amount                  -- beyond it an amount is an error of the source, as NaN is
),

bounds AS (
  SELECT
    s.*,
    CONVERT_TIMEZONE(s.time_zone, 'UTC', CAST(DATEADD(DAY, -s.days, s.end_day) AS TIMESTAMP_NTZ)) AS begin_at,
    CONVERT_TIMEZONE(s.time_zone, 'UTC', CAST(s.end_day AS TIMESTAMP_NTZ)) AS end_at
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
    CAST(CONVERT_TIMEZONE(b.time_zone, n.exposed_at) AS DATE) AS day
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
          THEN CAST(e.amount AS NUMBER(18, 2))
        WHEN e.event = 'refund' AND ABS(e.amount) <= b.max_amount
          THEN -CAST(ABS(e.amount) AS NUMBER(18, 2))
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
    CAST(MAX(CASE WHEN e.event = 'order' THEN 1 ELSE 0 END) AS NUMBER(18, 0)) AS purchase,
    CAST(SUM(CASE WHEN e.event = 'add-to-cart' THEN 1 ELSE 0 END) AS NUMBER(18, 0)) AS add_to_cart,
    CAST(SUM(CASE WHEN e.event = 'order' THEN 1 ELSE 0 END) AS NUMBER(18, 0)) AS orders,
    -- Decimals, not floats: 20.98 squared is 440.1604 and nothing else.
    CAST(SUM(CASE WHEN e.event = 'order' THEN e.amount ELSE 0 END) AS NUMBER(18, 2)) AS orders_val,
    CAST(SUM(CASE WHEN e.event IN ('order', 'refund') THEN e.amount ELSE 0 END) AS NUMBER(18, 2)) AS net_revenue_val
  FROM first_exposure AS x
  CROSS JOIN bounds AS b
  LEFT JOIN clean_event AS e
    ON e.visitor_id = x.visitor_id
    AND e.occurred_at >= x.first_seen
    AND e.occurred_at < DATEADD(HOUR, b.window_hours, x.first_seen)
  GROUP BY x.day, x.agent, x.variation, x.policy, x.loyalty_status, x.device, x.visitor_id
)

-- 4. THEN sums and sums of squares: of all visitors, and again by each trait. The rows without a
--    trait are the totals; those with one are about the same visitors, to look closer.
SELECT
  DATE_PART(EPOCH_SECOND, CAST(day AS TIMESTAMP_NTZ)) AS "Date",   -- midnight UTC of that calendar day
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
)
FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE FIELD_OPTIONALLY_ENCLOSED_BY = '"')
HEADER = TRUE
SINGLE = TRUE OVERWRITE = TRUE MAX_FILE_SIZE = 5368709120;
