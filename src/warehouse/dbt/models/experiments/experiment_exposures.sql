-- Grain: one row per experiment_id, user_id, version and variant: when the user first saw the
-- variant, and what happened from then to the end of that UTC day.
-- Rows merge by the earliest; the days after the exposure are in user_days.
with seen as (
    select
        experiment_id,
        user_id,
        version,
        variant,
        min(event_time) as first_seen
    from {{ ref('user_events') }}
    where experiment_id is not null and variant is not null
    group by experiment_id, user_id, version, variant
)

select
    s.experiment_id,
    s.user_id,
    s.version,
    s.variant,
    s.first_seen
    <%- for column, state in experiments.day_states %>,
    coalesce(<< state >>, 0) as << column >>
    <%- endfor %>
from seen as s
inner join (select user_id, version, event_time, event_name, value from {{ ref('user_events') }}) as e
    on s.user_id = e.user_id
    and s.version = e.version
    and cast(s.first_seen as date) = cast(e.event_time as date)
    and s.first_seen <= e.event_time
group by s.experiment_id, s.user_id, s.version, s.variant, s.first_seen
