-- Grain: one row per feature, entity and close_day.
-- A trial is an occurrence of the entity with a user; it succeeds when an outcome event of the
-- same user follows within its days. It counts from the day after its window has closed, so that
-- a snapshot's rates rest on finished trials only.
<%- for rate in entity_rates %>
<% if not loop.first %>union all
<% endif -%>
select
    '<< rate.feature >>' as feature,
    entity,
    cast(event_time + interval '<< rate.days >>' day as date) as close_day,
    count(*) as trials,
    count(*) filter (where followed) as successes
from (
    select
        << rate.entity >> as entity,
        event_time,
        << rate.where >> as is_trial,
        count(*) filter (where << rate.outcome >>) over (
            partition by user_id, version
            order by event_time
            range between interval '<< rate.after_microseconds >>' microsecond following
            and interval '<< rate.days >>' day following
        ) > 0 as followed
    from {{ ref('user_events') }}
    where version = 0
) as occurrences
where is_trial and entity is not null
group by entity, cast(event_time + interval '<< rate.days >>' day as date)
<%- endfor %>
