-- Revenue of all days is the value of the revenue events of people as known today.
<%- if revenue %>
select *
from (
    select
        (select coalesce(sum(revenue), 0) from {{ ref('daily_user_metrics') }}) as daily,
        (
            select coalesce(<< revenue_state >>, 0)
            from {{ ref('user_events') }} as e
            where
                cast(e.event_time as date) <= (select max(day) from {{ ref('calendar') }})
                and not exists (
                    select 1
                    from {{ ref('past_versions') }} as p
                    where p.user_id = e.user_id and p.version = e.version
                )
        ) as logged
) as totals
where daily <> logged
<%- else %>
select day from {{ ref('daily_user_metrics') }} where revenue is not null
<%- endif %>
