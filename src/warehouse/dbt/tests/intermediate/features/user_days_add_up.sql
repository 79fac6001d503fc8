-- Days hold each event once and each session once, on the day it closed.
select *
from (
    select
        (select sum(all_events) from {{ ref('user_days') }}) as day_events,
        (select count(*) from {{ ref('user_events') }}) as events,
        (select sum(all_sessions) from {{ ref('user_days') }}) as day_sessions,
        (select count(*) from {{ ref('sessions') }}) as sessions
) as totals
where coalesce(day_events, 0) <> events or coalesce(day_sessions, 0) <> sessions
