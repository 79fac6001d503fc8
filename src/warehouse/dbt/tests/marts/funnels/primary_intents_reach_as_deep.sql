-- The deepest intent of a user's sessions is the deepest step that the user ever took.
with by_session as (
    select user_id, version, max(<< intent_step >>) as deepest
    from {{ ref('sessions') }}
    group by user_id, version
),

by_event as (
    select user_id, version, max(<< intents >>) as deepest
    from {{ ref('user_events') }}
    group by user_id, version
)

select *
from by_event as e
full outer join by_session as s on e.user_id = s.user_id and e.version = s.version
where e.deepest is distinct from s.deepest
