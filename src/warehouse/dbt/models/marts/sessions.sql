-- Grain: one row per session, that is per user_id, version and session_start.
-- A session is a run of events with gaps of at most << gap_seconds >> seconds. Only the events at its
-- two ends are kept on the way: their positions in the user's log give the number between.
<%- if intents %>
-- Kept as well are events that go deeper into the funnel than the one before: the deepest step of a
-- session is first reached by such an event, or by its first one.
<%- endif %>
with ordered as (
    select
        user_id,
        version,
        event_time,
        lag(event_time) over by_time as previous_time,
        lead(event_time) over by_time as next_time,
        row_number() over by_time as position
        <%- if intents %>,
        << intents >> as step,
        lag(<< intents >>) over by_time as previous_step
        <%- endif %>
    from {{ ref('user_events') }}
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
