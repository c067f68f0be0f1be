-- All that happened in the window from the first exposure on stands on the day of that exposure.
-- LEFT JOIN: who did nothing counts too, as 0.
SELECT
  x.day,
  x.agent,
  x.variation,
  x.policy,
  x.loyalty_status,
  x.device,
  x.visitor_id,
  CAST(MAX(CASE WHEN e.event = 'order' THEN 1 ELSE 0 END) AS {{ dbt.type_bigint() }}) AS purchase,
  CAST(SUM(CASE WHEN e.event = 'add-to-cart' THEN 1 ELSE 0 END) AS {{ dbt.type_bigint() }}) AS add_to_cart,
  CAST(SUM(CASE WHEN e.event = 'order' THEN 1 ELSE 0 END) AS {{ dbt.type_bigint() }}) AS orders,
  CAST(SUM(CASE WHEN e.event = 'order' THEN e.amount ELSE 0 END) AS {{ money() }}) AS orders_val,
  CAST(SUM(CASE WHEN e.event IN ('order', 'refund') THEN e.amount ELSE 0 END) AS {{ money() }}) AS net_revenue_val
FROM {{ ref('first_exposure') }} AS x
LEFT JOIN {{ ref('clean_event') }} AS e
  ON e.visitor_id = x.visitor_id
  AND e.occurred_at >= x.first_seen
  AND e.occurred_at < {{ window_end('x.first_seen') }}
GROUP BY x.day, x.agent, x.variation, x.policy, x.loyalty_status, x.device, x.visitor_id
