-- Active people of a day are of its week, and those of its month; a day's active people are the
-- different ones of people_days; everybody was new once; every event and closed session is counted.
with per_day as (
    select
        m.day,
        m.dau,
        count(d.user_id) as active
    from {{ ref('daily_user_metrics') }} as m
    left join {{ ref('people_days') }} as d on m.day = d.day and d.all_events > 0
    group by m.day, m.dau
),

totals as (
    select
        (select sum(new_users) from {{ ref('daily_user_metrics') }}) as new_users,
        (select sum(events) from {{ ref('daily_user_metrics') }}) as events,
        (select sum(sessions) from {{ ref('daily_user_metrics') }}) as sessions,
        (select max(day) from {{ ref('daily_user_metrics') }}) as last_day,
        (select count(distinct user_id) from {{ ref('people_days') }} where all_events > 0) as people,
        (select sum(all_events) from {{ ref('people_days') }}) as people_events
)

select 'dau, wau, mau' as what, cast(day as << sql.text >>) as detail
from {{ ref('daily_user_metrics') }}
where not (dau <= wau and wau <= mau and new_users <= dau)
union all
select 'dau', cast(day as << sql.text >>) from per_day where dau <> active
union all
select 'new_users, events', cast(last_day as << sql.text >>)
from totals
where new_users <> people or events <> people_events
union all
select 'sessions', cast(t.last_day as << sql.text >>)
from totals as t
where
    t.sessions <> (
        select coalesce(sum(d.all_sessions), 0)
        from {{ ref('people_days') }} as d
        where d.day <= t.last_day
    )
