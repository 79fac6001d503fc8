-- The best hand-written script that we know for the columns of user_features of the built-in saas
-- spec: straight from the Parquet file, one snapshot date, nothing kept for the next run. It trusts
-- the file (no validation, no duplicates, no links between ids), which whyrank does not.
create table user_features as
with log as (
    -- The file's times carry a zone; plain timestamps spare the calendar in every comparison.
    select * replace (make_timestamp(epoch_us(event_time)) as event_time)
    from read_parquet('$events')
),

e as (
    select event_id, user_id, event_time, event_name, value, device, geo
    from log
    where event_time < timestamp '$as_of'
),

ordered as (
    select
        user_id,
        event_time,
        lag(event_time) over w as previous_time,
        lead(event_time) over w as next_time,
        row_number() over w as position
    from log
    window w as (partition by user_id order by event_time)
),

ends as (
    select
        *,
        previous_time is null or event_time - previous_time > interval 30 minute as starts,
        next_time is null or next_time - event_time > interval 30 minute as finishes
    from ordered
    where starts or finishes
),

paired as (
    select
        user_id,
        event_time as session_start,
        previous_time,
        starts,
        case when finishes then event_time else lead(event_time) over w end as session_end,
        case when finishes then 1 else lead(position) over w - position + 1 end as events
    from ends
    window w as (partition by user_id order by position)
),

sessions as (
    select
        *,
        events >= 20 and epoch(session_end - session_start) <= 2.0 * (events - 1) as is_spam
    from paired
    where starts and session_end + interval 30 minute < timestamp '$as_of'
),

by_session as (
    select
        user_id,
        count(*) as sessions,
        count(*) filter (
            where session_end + interval 30 minute >= timestamp '$as_of' - interval 30 day
        ) as sessions_30d,
        count(*) filter (where session_start - previous_time <= interval 7 day) as repeats,
        count(*) filter (where events = 1) as bounces,
        sum(events) as session_events,
        sum(events) filter (where is_spam) as spam_events
    from sessions
    group by user_id
),

by_event as (
    select
        user_id,
        count(*) as events,
        count(*) filter (where event_name = 'page_view') as page_views,
        count(*) filter (where event_name = 'page_view' and recent) as page_views_30d,
        count(*) filter (where event_name = 'pricing_view') as pricing_views,
        count(*) filter (where event_name = 'pricing_view' and recent) as pricing_views_30d,
        count(*) filter (where event_name = 'demo_request') as demo_requests,
        count(*) filter (where event_name = 'demo_request' and recent) as demo_requests_30d,
        count(*) filter (where event_name = 'signup') as signups,
        count(*) filter (where event_name = 'calendar_booking') as calendar_bookings,
        count(*) filter (where event_name = 'login' and recent) as logins_30d,
        bit_count(bit_or(1::bigint << (day_number % 32)) filter (where recent)) as active_days_30d,
        avg(value) filter (where event_name in ('page_view', 'pricing_view')) as avg_page_seconds,
        max(day_number) as last_day,
        min(day_number) as first_day,
        -- Both at once, as every event of this file has them.
        arg_max({'location': geo, 'device': device}, (event_time, event_id)) as latest
    from (
        select
            *,
            event_time >= timestamp '$as_of' - interval 30 day as recent,
            epoch_us(event_time) // 86400000000 as day_number
        from e
    )
    group by user_id
),

attributes as (
    select
        user_id,
        arg_max(account_balance, valid_from)
            filter (where make_timestamp(epoch_us(valid_from)) < timestamp '$as_of')
            as account_balance,
        arg_max(acquisition_channel, valid_from) as acquisition_channel
    from read_parquet('$users')
    group by user_id
)

select
    e.user_id,
    date '$as_of' as as_of,
    e.events,
    page_views,
    page_views_30d,
    pricing_views,
    pricing_views_30d,
    demo_requests,
    demo_requests_30d,
    signups,
    calendar_bookings,
    signups > 0 and calendar_bookings > 0 as converted,
    logins_30d,
    coalesce(active_days_30d, 0) as active_days_30d,
    coalesce(sessions, 0) as sessions,
    coalesce(sessions_30d, 0) as sessions_30d,
    repeats / nullif(sessions, 0) as repeat_session_rate,
    bounces / nullif(sessions, 0) as bounce_rate,
    coalesce(session_events, 0) as session_events,
    coalesce(spam_events, 0) as spam_events,
    coalesce(coalesce(spam_events, 0) / nullif(session_events, 0), 0) as spam_share,
    avg_page_seconds,
    epoch_us(timestamp '$as_of') // 86400000000 - last_day - 1 as days_since_last_activity,
    epoch_us(timestamp '$as_of') // 86400000000 - first_day - 1 as days_since_first_activity,
    latest.location as location,
    latest.device as device,
    coalesce(account_balance, 0) as account_balance,
    acquisition_channel,
    concat(
        page_views_30d, ' page views, ', pricing_views_30d, ' pricing views, ',
        demo_requests_30d, ' demo requests on ', coalesce(active_days_30d, 0),
        ' days of the last 30'
    ) as browsing_summary,
    not (signups > 0 and calendar_bookings > 0) as in_population
from by_event as e
left join by_session using (user_id)
left join attributes using (user_id);
