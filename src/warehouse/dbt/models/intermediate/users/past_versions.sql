{{ config(materialized='view') }}
-- Grain: one row per user_id and version that a later link has ended.
-- The marts speak of people as known today: they leave these rows out, and the days of an
-- anonymous id count for the person behind it, once.
select distinct user_id, version
from {{ ref('identities') }}
where known_until < timestamp '9999-12-31 00:00:00'
