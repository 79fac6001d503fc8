-- Grain: one row per cohort_day and day. A day's cohorts together are its active people, and the
-- people of a cohort on its first day are all of them.
select cohort_day, day from {{ ref('cohort_days') }} group by cohort_day, day having count(*) > 1
union all
select d.day as cohort_day, d.day
from {{ ref('daily_user_metrics') }} as d
left join (
    select day, sum(users) as users from {{ ref('cohort_days') }} group by day
) as c on d.day = c.day
where d.dau <> coalesce(c.users, 0)
union all
select p.first_day, c.day
from (select first_day, count(*) as users from {{ ref('people') }} group by first_day) as p
left join {{ ref('cohort_days') }} as c on p.first_day = c.cohort_day and p.first_day = c.day
where c.users is null or c.users <> p.users
