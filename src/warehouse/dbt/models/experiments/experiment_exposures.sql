{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}delete from {{ this }} using {{ ref('touched_users') }} as t where {{ this }}.user_id = t.user_id{% endif %}"
) }}
-- depends_on: {{ ref('touched_users') }}, {{ ref('touched_events') }}
-- Grain: one row per experiment_id, user_id, version and variant: when the user first saw the
-- variant, and what happened from then to the end of that UTC day.
-- The days after the exposure are in user_days. A later build makes touched users anew.
with seen as (
    select
        experiment_id,
        user_id,
        version,
        variant,
        min(event_time) as first_seen
    from {% if is_incremental() %}{{ ref('touched_events') }}{% else %}{{ ref('user_events') }}{% endif %}
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
inner join (
    select user_id, version, event_time, event_name, value
    from {% if is_incremental() %}{{ ref('touched_events') }}{% else %}{{ ref('user_events') }}{% endif %}
) as e
    on s.user_id = e.user_id
    and s.version = e.version
    and cast(s.first_seen as date) = cast(e.event_time as date)
    and s.first_seen <= e.event_time
group by s.experiment_id, s.user_id, s.version, s.variant, s.first_seen
