-- One row per cohort and day number; day 0 is everybody; bounded <= unbounded <= users; unbounded
-- never grows with the day; null exactly where the log ends before the day; everybody is in a cohort.
with rows_in_order as (
    select
        c.*,
        lag(c.retained_unbounded) over (partition by c.cohort_day order by c.day_number) as before,
        count(*) over (partition by c.cohort_day, c.day_number) as same,
        << sql.plus_days('c.cohort_day', 'cast(c.day_number as integer)') >> <= l.day as is_over
    from {{ ref('retention_cohorts') }} as c
    cross join {{ ref('calendar') }} as l
    where l.is_last
)

select cohort_day, day_number
from rows_in_order
where same > 1
    or retained_bounded > retained_unbounded
    or retained_unbounded > users
    or retained_unbounded > before
    or (day_number = 0 and (retained_bounded <> users or retained_unbounded <> users))
    or (retained_bounded is not null) <> is_over
    or (retained_unbounded is not null) <> is_over
union all
select null, null
from (
    select
        (select sum(users) from {{ ref('retention_cohorts') }} where day_number = 0) as members,
        (select count(distinct user_id) from {{ ref('people_days') }} where all_events > 0) as people
) as totals
where coalesce(members, 0) <> people
