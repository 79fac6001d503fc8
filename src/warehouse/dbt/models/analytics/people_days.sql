{{ config(materialized='view') }}
-- Grain: one row per user_id and UTC day: user_days of people as known today.
select d.*
from {{ ref('user_days') }} as d
where not exists (
    select 1
    from {{ ref('past_versions') }} as p
    where p.user_id = d.user_id and p.version = d.version
)
