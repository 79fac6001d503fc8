-- Whoever has an event before as_of has a row, and nobody else, for ids that no link touches.
with dates as (
    select distinct as_of from {{ ref('user_features') }}
),

expected as (
    select distinct e.user_id, d.as_of
    from {{ ref('user_events') }} as e
    inner join dates as d on e.event_time < cast(d.as_of as timestamp)
    where e.user_id not in (select user_id from {{ ref('identities') }})
),

found as (
    select user_id, as_of
    from {{ ref('user_features') }}
    where user_id not in (select user_id from {{ ref('identities') }})
)

select * from (select * from expected except select * from found) as missing
union all
select * from (select * from found except select * from expected) as surplus
