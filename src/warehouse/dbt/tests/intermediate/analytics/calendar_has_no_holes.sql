-- From the first to the last day of events, one row a day, in the calendar and in the metrics.
select *
from (
    select
        count(*) as days,
        (select count(*) from {{ ref('daily_user_metrics') }}) as metric_days,
        << sql.days_between('min(day)', 'max(day)') >> + 1 as expected,
        count(*) filter (where is_last) as last_days
    from {{ ref('calendar') }}
) as counted
where days > 0 and (days <> expected or metric_days <> expected or last_days <> 1)
