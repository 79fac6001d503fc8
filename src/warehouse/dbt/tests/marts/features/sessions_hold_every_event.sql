-- Every event of a user is in exactly one session: the sums agree, user by user.
with held as (
    select user_id, version, sum(events) as events
    from {{ ref('sessions') }}
    group by user_id, version
),

logged as (
    select user_id, version, count(*) as events
    from {{ ref('user_events') }}
    group by user_id, version
)

select *
from logged
full outer join held
    on logged.user_id = held.user_id and logged.version = held.version
where logged.events is distinct from held.events
