-- NaN and infinities are beyond max_amount, NULL is nowhere: the event counts, and is worth 0.
-- Refunds are negative, whichever sign the source gives them.
SELECT
  event_id,
  visitor_id,
  event,
  MIN(occurred_at) AS occurred_at,
  MIN(
    CASE
      WHEN event = 'order' AND amount >= 0 AND amount <= {{ var('max_amount') }}
        THEN CAST(amount AS {{ money() }})
      WHEN event = 'refund' AND ABS(amount) <= {{ var('max_amount') }}
        THEN -CAST(ABS(amount) AS {{ money() }})
      ELSE 0
    END
  ) AS amount
FROM {{ source('shop', 'events') }}
WHERE event IN ('add-to-cart', 'order', 'refund')
  AND occurred_at >= {{ begin_at() }}
  AND occurred_at < {{ end_at() }}
GROUP BY event_id, visitor_id, event
