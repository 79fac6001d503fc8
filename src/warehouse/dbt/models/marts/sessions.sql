{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}delete from {{ this }} using {{ ref('touched_users') }} as t where {{ this }}.user_id = t.user_id and {{ this }}.session_end + interval '<< gap_seconds >>' second >= t.earliest{% endif %}"
) }}
-- depends_on: {{ ref('touched_users') }}, {{ ref('touched_events') }}
-- Grain: one row per session, that is per user_id, version and session_start.
-- A session is a run of events with gaps of at most << gap_seconds >> seconds. Only the events at its
-- two ends are kept on the way: their positions in the user's log give the number between.
-- A later build takes up touched users where they were left: after their last session that had closed
-- before anything changed. No event before it can belong to a later session.
with
{% if is_incremental() %}
standing as (
    select s.user_id, s.version, max(s.session_end) as last_end
    from {{ this }} as s
    inner join {{ ref('touched_users') }} as t on s.user_id = t.user_id
    group by s.user_id, s.version
),

open_events as (
    select e.user_id, e.version, e.event_time, s.last_end
    from {{ ref('touched_events') }} as e
    left join standing as s on e.user_id = s.user_id and e.version = s.version
    where s.last_end is null or e.event_time > s.last_end
),
{% else %}
open_events as (
    select user_id, version, event_time, cast(null as timestamp) as last_end
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
