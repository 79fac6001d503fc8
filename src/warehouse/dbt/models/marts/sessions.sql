-- Grain: one row per session, that is per user_id, version and session_start.
-- A session is a run of events with gaps of at most << gap_seconds >> seconds. Only the events at its
-- two ends are kept on the way: their positions in the user's log give the number between.
with ordered as (
    select
        user_id,
        version,
        event_time,
        lag(event_time) over by_time as previous_time,
        lead(event_time) over by_time as next_time,
        row_number() over by_time as position
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
),

paired as (
    select
        user_id,
        version,
        event_time as session_start,
        previous_time,
        starts,
        case when finishes then event_time else lead(event_time) over by_position end as session_end,
        case when finishes then 1 else lead(position) over by_position - position + 1 end as events
    from ends
    window by_position as (partition by user_id, version order by position)
),

measured as (
    select
        *,
        cast(date_diff('microsecond', session_start, session_end) as double) / 1000000 as seconds
    from paired
    where starts
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
    and session_start - previous_time <= interval '<< repeat_seconds >>' second as is_repeat
from measured
