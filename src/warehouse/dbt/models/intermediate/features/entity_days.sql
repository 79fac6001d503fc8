-- Grain: one row per feature, entity and close_day.
-- An occurrence of an entity with a user succeeds when an outcome event of the same user follows
-- within its days. It counts from the day after its window has closed, so that a snapshot's rates
-- rest on finished trials only; where no outcome is asked for, from the day after its own.
-- The total is that of successes, or of the amounts to average.
<%- for e in entities %>
<% if not loop.first %>union all
<% endif -%>
select
    '<< e.feature >>' as feature,
    entity,
    close_day,
    count(*) as occurrences,
    cast(
        << 'count(*) filter (where followed)' if e.outcome else 'sum(amount)' if e.amount else '0' >>
        as decimal(38, 6)
    ) as total
from (
    select
        << e.entity >> as entity,
        << e.where >> as is_occurrence,
        <%- if e.outcome %>
        count(*) filter (where << e.outcome >>) over (
            partition by user_id, version
            order by event_time
            range between interval '<< e.after_microseconds >>' microsecond following
            and interval '<< e.days >>' day following
        ) > 0 as followed,
        <%- elif e.amount %>
        << e.amount >> as amount,
        <%- endif %>
        cast(event_time + interval '<< e.days >>' day as date) as close_day
    from {{ ref('user_events') }}
    where version = 0
) as seen
where is_occurrence and entity is not null<% if e.amount %> and amount is not null<% endif %>
group by entity, close_day
<%- endfor %>
