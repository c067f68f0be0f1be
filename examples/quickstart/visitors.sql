-- A shop that does not exist: the three tables that export.sql rolls up.
--
--   visitors   visitor_id, loyalty_status                       one row per visitor
--   exposures  visitor_id, agent, variation, exposed_at         one row per time a variation was shown
--   events     visitor_id, event, amount, occurred_at           one row per add-to-cart, order, refund, support contact
--
-- Every number is drawn from an MD5 of the visitor's id and of what is drawn, in whole numbers, so
-- that the tables are the same on every machine. Parts per million take the place of fractions.
-- v7 names this shop: another word there makes another one, with other luck. It was chosen because
-- none of its rows is about one buyer alone, and because chance does not play tricks on the tests.

-- 0 to 999,999, each as likely as another.
CREATE MACRO draw(id, what) AS CAST(md5_number_lower(id || '/' || what || '/v7') % 1000000 AS BIGINT);

CREATE MACRO price(id, what) AS
  [6.95, 9.90, 12.49, 14.90, 17.95, 19.90, 24.90, 24.90, 29.90, 34.50, 39.90, 49.00, 59.90, 79.00, 119.00][1 + draw(id, what) % 15];

-- 60 days, Monday 2026-01-05 to Thursday 2026-03-05.
CREATE TABLE days AS
SELECT
  n,
  DATE '2026-01-05' + CAST(n AS INTEGER) AS day,
  -- Visitors by the day of the week, a few percent up or down.
  [4900, 4600, 4600, 4900, 5300, 6100, 5300][1 + n % 7] * (970000 + draw('day ' || n, 'visitors') * 6 // 100) // 1000000 AS visitors,
  -- How much people buy: little after Christmas, more before 14 February, most in the sale that
  -- opens on 16 February.
  CASE
    WHEN n < 42 THEN 760000 + 7000 * n + CASE WHEN n BETWEEN 36 AND 39 THEN 120000 ELSE 0 END
    ELSE 1350000 + 18000 * (n - 42)
  END AS demand,
  -- The free-shipping banner was rolled out in steps of ten days. This is what misleads: B is seen
  -- mostly by those who came in the sale, A by those who came in January.
  [150000, 250000, 400000, 600000, 750000, 850000][1 + n // 10] AS banner_share
FROM range(60) AS r(n);

-- What each visitor will do. Nothing here leaves visitors.sql.
CREATE TABLE plan AS
WITH arrival AS (
  SELECT days.*, 'v' || n || '-' || i AS id
  FROM days, range(7000) AS r(i)
  WHERE i < visitors
),
person AS (
  SELECT
    *,
    CAST(day AS TIMESTAMP) + to_seconds(CAST(21600 + draw(id, 'hour') * 64000 // 1000000 AS INTEGER)) AS arrived_at,
    CASE
      WHEN draw(id, 'loyalty') < 100000 THEN 'p'
      WHEN draw(id, 'loyalty') < 250000 THEN 'g'
      WHEN draw(id, 'loyalty') < 460000 THEN 's'
    END AS loyalty_status,
    CASE WHEN draw(id, 'banner') < banner_share THEN 'B' ELSE 'A' END AS banner,
    ['A', 'B', 'C'][1 + draw(id, 'recommendations') % 3] AS recommendations,
    ['A', 'B'][1 + draw(id, 'button') % 2] AS button,
    draw(id, 'sees a product') < 660000 AS sees_product
  FROM arrival
),
funnel AS (
  SELECT
    *,
    -- The one true effect: "bought together" (C) brings 9% more visitors to the checkout. Neither
    -- the banner nor the button does anything.
    sees_product AND draw(id, 'checkout') <
      150000
      * demand // 1000000
      * CASE loyalty_status WHEN 'p' THEN 180 WHEN 'g' THEN 150 WHEN 's' THEN 125 ELSE 100 END // 100
      * CASE recommendations WHEN 'C' THEN 109 ELSE 100 END // 100
      AS reaches_checkout
  FROM person
)
SELECT
  *,
  reaches_checkout AND draw(id, 'buys') < 410000 AS buys,
  -- One visitor in four comes again, one to nine days later, and sees the same variations again.
  CASE WHEN draw(id, 'returns') < 250000 THEN 1 + draw(id, 'returns when') % 9 END AS returns_after_days
FROM funnel;

CREATE TABLE visitors AS
SELECT id AS visitor_id, loyalty_status FROM plan;

CREATE TABLE exposures AS
WITH visit AS (
  SELECT *, arrived_at AS seen_at FROM plan
  UNION ALL
  SELECT *, arrived_at + to_days(CAST(returns_after_days AS INTEGER)) AS seen_at FROM plan WHERE returns_after_days IS NOT NULL
)
SELECT id AS visitor_id, 'free-shipping-banner' AS agent, banner AS variation, seen_at AS exposed_at FROM visit
UNION ALL
SELECT id, 'recommendations', recommendations, seen_at + INTERVAL 1 MINUTE FROM visit WHERE sees_product
UNION ALL
SELECT id, 'checkout-button', button, seen_at + INTERVAL 12 MINUTE FROM visit WHERE reaches_checkout;

CREATE TABLE orders AS
WITH number AS (
  SELECT plan.*, o, id || ' order ' || o AS order_id
  FROM plan, range(3) AS r(o)
  -- One buyer in twelve orders again, one in a hundred twice.
  WHERE buys AND (o = 0 OR draw(id, 'orders again') < CASE o WHEN 1 THEN 83000 ELSE 10000 END)
),
basket AS (
  SELECT
    *,
    price(order_id, 'first')
    + CASE WHEN draw(order_id, 'items') < 450000 THEN price(order_id, 'second') ELSE 0 END
    + CASE WHEN draw(order_id, 'items') < 180000 THEN price(order_id, 'third') ELSE 0 END
    + CASE WHEN draw(order_id, 'items') < 60000 THEN price(order_id, 'fourth') ELSE 0 END AS goods
  FROM number
)
SELECT
  id,
  order_id,
  -- Shipping is 4.90 below 50.00, whatever the banner says about it.
  CAST(goods + CASE WHEN goods < 50 THEN 4.90 ELSE 0 END AS DECIMAL(10, 2)) AS amount,
  -- Four in five buy at once, the others sleep on it; further orders come a day later each.
  arrived_at + INTERVAL 15 MINUTE
  + to_days(CAST(o + CASE WHEN draw(id, 'sleeps on it') < 200000 THEN 1 + draw(id, 'how long') % 3 ELSE 0 END AS INTEGER)) AS ordered_at
FROM basket;

CREATE TABLE events AS
-- Nearly all who put something into the cart do so before the checkout, some while they are there.
SELECT id AS visitor_id, 'add-to-cart' AS event, NULL AS amount, arrived_at + INTERVAL 3 MINUTE + to_minutes(CAST(4 * k AS INTEGER)) AS occurred_at
FROM plan, range(5) AS r(k)
WHERE sees_product
  AND CASE
    WHEN reaches_checkout THEN k = 0 OR draw(id, 'cart') < [0, 520000, 260000, 120000, 40000][1 + k]
    ELSE draw(id, 'cart') < [130000, 36000, 9000, 0, 0][1 + k]
  END
UNION ALL
SELECT id, 'order', amount, ordered_at FROM orders
UNION ALL
-- One order in eleven is sent back. Refunds that come later than the export looks are not seen.
SELECT id, 'refund', -amount, ordered_at + to_days(CAST(2 + draw(order_id, 'sent back when') % 5 AS INTEGER))
FROM orders
WHERE draw(order_id, 'sent back') < 90000
UNION ALL
-- And a few send back what they had bought before they were in any test: a refund and no order.
SELECT id, 'refund', CAST(-price(id, 'earlier') AS DECIMAL(10, 2)), arrived_at + to_days(CAST(draw(id, 'earlier when') % 5 AS INTEGER)) + INTERVAL 2 HOUR
FROM plan
WHERE draw(id, 'earlier order sent back') < 1500
UNION ALL
SELECT id, 'support-contact', NULL, arrived_at + INTERVAL 30 MINUTE + to_days(CAST(k AS INTEGER))
FROM plan, range(3) AS r(k)
WHERE draw(id, 'support') < CASE WHEN buys THEN [110000, 22000, 4000][1 + k] ELSE [12000, 1500, 200][1 + k] END;
