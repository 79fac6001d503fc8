-- Inside a session no two events in a row are more than the gap apart: a user's sessions are as
-- many as the gaps in their log, and one.
with gaps as (
    select
        user_id,
        version,
        event_time - lag(event_time) over (partition by user_id, version order by event_time) as gap
    from {{ ref('user_events') }}
),

expected as (
    select
        user_id,
        version,
        count(*) filter (where gap is null or gap > interval '<< gap_seconds >>' second) as sessions
    from gaps
    group by user_id, version
),

found as (
    select user_id, version, count(*) as sessions
    from {{ ref('sessions') }}
    group by user_id, version
)

select *
from expected
full outer join found
    on expected.user_id = found.user_id and expected.version = found.version
where expected.sessions is distinct from found.sessions
