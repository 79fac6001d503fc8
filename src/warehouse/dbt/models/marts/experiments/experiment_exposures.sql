{{ config(
    materialized='delete_insert',
    pre_hook="{% if is_incremental() %}delete from {{ this }} using {{ ref('changed_users') }} as t where {{ this }}.user_id = t.user_id and {{ this }}.first_seen >= date_trunc('day', t.earliest){% endif %}"
) }}
-- depends_on: {{ ref('changed_users') }}, {{ ref('changed_events') }}
-- Grain: one row per experiment_id, user_id, version and variant: when the user first saw the
-- variant, and what happened from then to the end of that UTC day.
-- The days after the exposure are in user_days. A later build rebuilds changed users' exposures from
-- the day of their earliest change on: those of earlier days stand, with all that came of them.
with log as not materialized (
    select user_id, version, event_time, event_name, value, experiment_id, variant
    {%- if is_incremental() %}
    from {{ ref('changed_events') }}
    where
        event_time >= date_trunc('day', earliest)
        and event_time >= cast(date '0001-01-01' + {{ changed('since_days', 0) }} as timestamp)
    {%- else %}
    from {{ ref('user_events') }}
    {%- endif %}
),

seen as (
    select
        experiment_id,
        user_id,
        version,
        variant,
        min(event_time) as first_seen
    from log
    where experiment_id is not null and variant is not null
    group by experiment_id, user_id, version, variant
),

new as (
    select s.*
    from seen as s
    {%- if is_incremental() %}
    where
        not exists (
            select 1
            from {{ this }} as x
            where
                x.experiment_id = s.experiment_id
                and x.user_id = s.user_id
                and x.version = s.version
                and x.variant = s.variant
        )
    {%- endif %}
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
from new as s
inner join (select user_id, version, event_time, event_name, value from log) as e
    on s.user_id = e.user_id
    and s.version = e.version
    and cast(s.first_seen as date) = cast(e.event_time as date)
    and s.first_seen <= e.event_time
group by s.experiment_id, s.user_id, s.version, s.variant, s.first_seen
