-- It is looked for in all exposures, not in those of the exported days: else who comes again after a
-- month would be counted a second time. Where that takes long, make it incremental: a visitor who is
-- in it stays as is.
WITH numbered_exposure AS (
  SELECT
    agent,
    visitor_id,
    variation,
    COALESCE(NULLIF(policy, ''), 'r') AS policy,
    COALESCE(NULLIF(loyalty_status, ''), 'none') AS loyalty_status,
    COALESCE(NULLIF(device, ''), 'unknown') AS device,
    exposed_at,
    ROW_NUMBER() OVER (
      PARTITION BY agent, visitor_id
      ORDER BY exposed_at, variation, COALESCE(policy, ''), COALESCE(loyalty_status, ''), COALESCE(device, '')
    ) AS nth
  FROM {{ source('shop', 'exposures') }}
  WHERE agent IS NOT NULL
    AND visitor_id IS NOT NULL
    AND variation IS NOT NULL
    AND exposed_at < {{ end_at() }}
)

SELECT
  {{ dbt.concat(["agent", "'/'", "visitor_id"]) }} AS agent_visitor,
  agent,
  visitor_id,
  variation,
  policy,
  loyalty_status,
  device,
  exposed_at AS first_seen,
  {{ local_day('exposed_at') }} AS day
FROM numbered_exposure
WHERE nth = 1
  AND exposed_at >= {{ begin_at() }}
