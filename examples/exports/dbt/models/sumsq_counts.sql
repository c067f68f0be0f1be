{#- Only now sums and squares. A goal is its code, the column of its events, and that of its values
    where it has any; a refund is no event, so the count of net_revenue is that of orders. -#}
{%- set goals = [
  ('purchase', 'purchase', none),
  ('add_to_cart', 'add_to_cart', none),
  ('orders', 'orders', 'orders_val'),
  ('net_revenue', 'orders', 'net_revenue_val'),
] -%}
SELECT
  {{ midnight_utc('day') }} AS {{ adapter.quote('Date') }},
  agent AS {{ adapter.quote('Agent') }},
  variation AS {{ adapter.quote('Variation') }},
  policy AS {{ adapter.quote('Policy') }},
  CASE WHEN GROUPING(loyalty_status) = 0 THEN 'loyalty-status' WHEN GROUPING(device) = 0 THEN 'device' ELSE '' END AS {{ adapter.quote('Trait_Group') }},
  COALESCE(loyalty_status, device, '') AS {{ adapter.quote('Trait_Value') }},
  COUNT(*) AS {{ adapter.quote('Sels') }}
  {%- for code, events, value in goals %},
  SUM({{ events }}) AS {{ adapter.quote(code) }},
  SUM({{ events }} * {{ events }}) AS {{ adapter.quote(code ~ '_sumsq') }}
  {%- if value %},
  SUM({{ value }}) AS {{ adapter.quote(code ~ '_val') }},
  SUM({{ value }} * {{ value }}) AS {{ adapter.quote(code ~ '_val_sumsq') }}
  {%- endif %}
  {%- endfor %}
FROM {{ ref('per_visitor') }}
GROUP BY GROUPING SETS (
  (day, agent, variation, policy),
  (day, agent, variation, policy, loyalty_status),
  (day, agent, variation, policy, device)
)
