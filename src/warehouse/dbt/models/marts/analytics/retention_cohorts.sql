-- Grain: one row per cohort_day (the users' first active day) and day_number from 0 to << retention_days >>.
-- Bounded: active on exactly that day. Unbounded: active on that day or on a later one.
-- A day that the log does not hold to its end is null, as is all that follows it.
with on_days as (
    select
        cohort_day,
        << sql.days_between('cohort_day', 'day') >> as day_number,
        users
    from {{ ref('cohort_days') }}
),

last_days as (
    select
        first_day as cohort_day,
        least(<< sql.days_between('first_day', 'last_day') >>, << retention_days >>) as day_number
    from {{ ref('people') }}
),

last_on_days as (
    select
        cohort_day,
        day_number,
        count(*) as users
    from last_days
    group by cohort_day, day_number
),

grid as (
    select
        o.cohort_day,
        numbers.n as day_number,
        o.users,
        << sql.plus_days('o.cohort_day', 'numbers.n') >> <= l.day as is_over
    from on_days as o
    cross join << sql.numbers(retention_days + 1) >>
    cross join {{ ref('calendar') }} as l
    where o.day_number = 0 and l.is_last
)

select
    g.cohort_day,
    g.day_number,
    cast(g.users as bigint) as users,
    case when g.is_over then cast(coalesce(o.users, 0) as bigint) end as retained_bounded,
    case
        when g.is_over then cast(coalesce(sum(e.users) over (
                partition by g.cohort_day
                order by g.day_number desc
                rows between unbounded preceding and current row
            ), 0) as bigint)
    end as retained_unbounded
from grid as g
left join on_days as o on g.cohort_day = o.cohort_day and g.day_number = o.day_number
left join last_on_days as e on g.cohort_day = e.cohort_day and g.day_number = e.day_number
