{{ config(materialized='view') }}
-- Grain: one row per experiment_id and user_id, people as known today: the variant seen first.
-- Of variants first seen at one time, the first in the alphabet is it.
select *
from (
    select
        x.*,
        cast(first_seen as date) as exposure_day,
        row_number() over by_time as nth,
        lead(first_seen) over by_time as mixed_since,
        count(*) over (partition by experiment_id, user_id) as variants
    from {{ ref('experiment_exposures') }} as x
    where
        not exists (
            select 1
            from {{ ref('past_versions') }} as p
            where p.user_id = x.user_id and p.version = x.version
        )
    window by_time as (partition by experiment_id, user_id order by first_seen, variant)
) as numbered
where nth = 1
