-- Grain: one row per UTC day that has events.
select
    cast(event_time as date) as day,
    count(*) as events
from {{ source('landing', 'events') }}
group by cast(event_time as date)
