{{ config(
    materialized='delete_insert',
    meta={'day_of': 'session_start'},
    pre_hook="{% if is_incremental() %}delete from {{ this }} using {{ ref('changed_users') }} as t where {{ this }}.user_id = t.user_id and {{ this }}.session_end + interval '<< gap_seconds >>' second >= t.earliest{% endif %}"
) }}
-- depends_on: {{ ref('changed_users') }}, {{ ref('changed_events') }}
-- Grain: one row per session, that is per user_id, version and session_start.
-- A session is a run of events with gaps of at most << gap_seconds >> seconds. Only the events at its
-- two ends are kept on the way: their positions in the user's log give the number between.
<%- if intents %>
-- Kept as well are events that go deeper into the funnel than the one before: the deepest step of a
-- session is first reached by such an event, or by its first one.
<%- endif %>
-- A later build resumes changed users where it left them: after their last session that had closed
-- before anything changed. No event before it can belong to a later session.
with
{% if is_incremental() %}
standing as (
    select s.user_id, s.version, max(s.session_end) as last_end
    from {{ this }} as s
    inner join {{ ref('changed_users') }} as t on s.user_id = t.user_id
    group by s.user_id, s.version
),

open_events as (
    select
        e.user_id,
        e.version,
        e.event_time,
        <%- if intents %>
        cast(<< intents >> as smallint) as step,
        <%- endif %>
        s.last_end
    from {{ ref('changed_events') }} as e
    left join standing as s on e.user_id = s.user_id and e.version = s.version
    where
        (s.last_end is null or e.event_time > s.last_end)
        and e.event_time >= cast(date '0001-01-01' + {{ changed('sessions_since_days', 0) }} as timestamp)
),
{% else %}
open_events as (
    select
        user_id,
        version,
        event_time,
        <%- if intents %>
        cast(<< intents >> as smallint) as step,
        <%- endif %>
        cast(null as timestamp) as last_end
    from {{ ref('user_events') }}
),
{% endif %}
ordered as (
    select
        user_id,
        version,
        event_time,
        coalesce(lag(event_time) over by_time, last_end) as previous_time,
        lead(event_time) over by_time as next_time,
        row_number() over by_time as position
        <%- if intents %>,
        step,
        lag(step) over by_time as previous_step
        <%- endif %>
    from open_events
    window by_time as (partition by user_id, version order by event_time)
),

ends as (
    select
        user_id,
        version,
        event_time,
        previous_time,
        position,
        <%- if intents %>
        step,
        <%- endif %>
        previous_time is null
        or event_time - previous_time > interval '<< gap_seconds >>' second as starts,
        next_time is null
        or next_time - event_time > interval '<< gap_seconds >>' second as finishes
    from ordered
    where
        previous_time is null
        or next_time is null
        or event_time - previous_time > interval '<< gap_seconds >>' second
        or next_time - event_time > interval '<< gap_seconds >>' second
        <%- if intents %>
        or step > previous_step
        <%- endif %>
),

numbered as (
    select
        *,
        sum(case when starts then 1 else 0 end) over (
            partition by user_id, version
            order by position
            rows between unbounded preceding and current row
        ) as number
    from ends
),

paired as (
    select
        user_id,
        version,
        min(event_time) as session_start,
        max(event_time) as session_end,
        max(case when starts then previous_time end) as previous_time,
        max(position) - min(position) + 1 as events<% if intents %>,
        max(step) as step<% endif %>
    from numbered
    group by user_id, version, number
),

measured as (
    select
        *,
        cast(date_diff('microsecond', session_start, session_end) as double) / 1000000 as seconds
    from paired
)

select
    md5(concat(user_id, '|', cast(version as varchar), '|', cast(session_start as varchar)))
        as session_id,
    user_id,
    version,
    session_start,
    session_end,
    cast(session_end + interval '<< gap_seconds >>' second as date) as close_day,
    cast(events as bigint) as events,
    seconds,
    events <= << bounce_events >> as is_bounce,
    events >= << spam_events >> and seconds <= << spam_seconds >> * (events - 1) as is_spam,
    previous_time is not null
    and session_start - previous_time <= interval '<< repeat_seconds >>' second as is_repeat,
    << intent >> as primary_intent
from measured
