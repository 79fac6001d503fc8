-- What an analyst who knows DuckDB well would write for the tables of the built-in media spec: from a
-- loaded log (tables `events` and `users`), one snapshot date, nothing kept for the next day, no
-- links between ids, no checks. tests/benchmarks compares its tables with whyrank's, row by row.
create table sessions as
with ordered as (
    select
        user_id,
        event_time,
        lag(event_time) over w as previous_time,
        lead(event_time) over w as next_time,
        row_number() over w as position
    from events
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

deep as (
    select
        d.user_id,
        s.session_start,
        max(d.step) as step
    from (
        select
            user_id,
            event_time,
            case event_name when 'view' then 1 when 'add_to_cart' then 2 else 3 end as step
        from events
        where event_name in ('view', 'add_to_cart', 'purchase')
    ) as d
    asof inner join (select user_id, session_start from paired where starts) as s
        on d.user_id = s.user_id and d.event_time >= s.session_start
    group by d.user_id, s.session_start
)

select
    md5(concat(p.user_id, '|0|', cast(p.session_start as varchar))) as session_id,
    p.user_id,
    p.session_start,
    p.session_end,
    cast(p.session_end + interval 30 minute as date) as close_day,
    cast(p.events as bigint) as events,
    epoch_us(p.session_end - p.session_start) / 1000000 as seconds,
    p.events <= 1 as is_bounce,
    coalesce(p.session_start - p.previous_time <= interval 7 day, false) as is_repeat,
    ['view', 'add_to_cart', 'purchase'][d.step] as primary_intent
from paired as p
left join deep as d on p.user_id = d.user_id and p.session_start = d.session_start
where p.starts;

create table user_days as
select
    user_id,
    cast(event_time as date) as day,
    count(*) as events,
    count(*) filter (where event_name = 'view') as views,
    count(*) filter (where event_name = 'search') as searches,
    count(*) filter (where event_name = 'play') as plays,
    count(*) filter (where event_name = 'like') as likes,
    count(*) filter (where event_name = 'add_to_cart') as carts,
    count(*) filter (where event_name = 'purchase') as purchases,
    sum(cast(value as decimal(18, 6))) filter (where event_name = 'purchase') as spent,
    sum(cast(value as decimal(18, 6))) filter (where event_name = 'play') as play_seconds,
    count(value) filter (where event_name = 'play') as timed_plays,
    max(event_time) filter (where event_name = 'view') as last_view,
    max(event_time) filter (where event_name = 'search') as last_search
from events
group by 1, 2;

create table session_days as
select
    user_id,
    close_day as day,
    count(*) as sessions,
    sum(events) as session_events,
    count(*) filter (where is_bounce) as bounces
from sessions
group by 1, 2;

create table user_attributes as
select
    user_id,
    arg_max(device_type, valid_from) as device_type,
    arg_max(acquisition_channel, valid_from) as acquisition_channel,
    arg_max(country, valid_from) as country,
    arg_max(uses_playlists, valid_from) filter (where valid_from < timestamp '$as_of')
        as uses_playlists
from users
group by user_id;

create table user_features as
with by_event as (
    select
        user_id,
        count(*) filter (where recent) as active_days_28d,
        count(*) filter (where day >= date '$as_of' - 7) as active_days_7d,
        coalesce(sum(views) filter (where recent), 0) as views_28d,
        coalesce(sum(searches) filter (where recent), 0) as searches_28d,
        coalesce(sum(plays) filter (where recent), 0) as plays_28d,
        sum(play_seconds) filter (where recent)
            / sum(timed_plays) filter (where recent) as play_seconds,
        coalesce(sum(likes) filter (where recent), 0) as likes_28d,
        coalesce(sum(carts) filter (where recent), 0) as carts_28d,
        sum(carts) as carts,
        sum(purchases) as purchases,
        coalesce(sum(purchases) filter (where recent), 0) as purchases_28d,
        coalesce(sum(spent), 0) as spent,
        date '$as_of' - max(day) - 1 as days_since_last_activity,
        date '$as_of' - max(day) filter (where purchases > 0) - 1 as days_since_last_purchase,
        date '$as_of' - min(day) - 1 as days_since_first_activity
    from (select *, day >= date '$as_of' - 28 as recent from user_days)
    where day < date '$as_of'
    group by user_id
),

by_session as (
    select
        user_id,
        sum(sessions) filter (where day >= date '$as_of' - 28) as sessions_28d,
        sum(session_events) / sum(sessions) as events_per_session,
        sum(bounces) / sum(sessions) as bounce_rate
    from session_days
    where day < date '$as_of'
    group by user_id
)

select
    e.*,
    coalesce(s.sessions_28d, 0) as sessions_28d,
    s.events_per_session,
    s.bounce_rate,
    coalesce(e.purchases / nullif(e.carts, 0), 0) as buys_per_cart,
    a.uses_playlists,
    a.device_type,
    a.acquisition_channel
from by_event as e
left join by_session as s on e.user_id = s.user_id
left join user_attributes as a on e.user_id = a.user_id;

create table outcomes as
select user_id, event_time, value from events where event_name = 'purchase';

create table daily_events as
select cast(event_time as date) as day, count(*) as events from events group by 1;

create table daily_user_metrics as
with spells as (
    select day, lag(day) over w as previous_day, lead(day) over w as next_day
    from user_days
    window w as (partition by user_id order by day)
),

changes as (
    select day, count(*) as dau, count(*) filter (where previous_day is null) as new_users,
        0 as week, 0 as month
    from spells group by day
    union all
    select least(next_day, day + 7), 0, 0, count(*), 0 from spells group by 1
    union all
    select least(next_day, day + 30), 0, 0, 0, count(*) from spells group by 1
),

daily as (
    select
        day,
        sum(dau) as dau,
        sum(sum(dau) - sum(week)) over (order by day) as wau,
        sum(sum(dau) - sum(month)) over (order by day) as mau,
        sum(new_users) as new_users
    from changes
    group by day
)

select
    d.*,
    coalesce(s.sessions, 0) as sessions,
    coalesce(e.revenue, 0) as revenue,
    e.events
from daily as d
inner join (
    select day, sum(events) as events, sum(spent) as revenue from user_days group by day
) as e on d.day = e.day
left join (
    select day, sum(sessions) as sessions from session_days group by day
) as s on d.day = s.day;

create table retention_cohorts as
with active as (
    select user_id, day, min(day) over (partition by user_id) as cohort_day from user_days
),

kept as (
    select cohort_day, day - cohort_day as day_number, count(*) as users
    from active group by 1, 2
),

last_kept as (
    select cohort_day, least(last_day - cohort_day, 60) as day_number, count(*) as users
    from (select user_id, cohort_day, max(day) as last_day from active group by 1, 2)
    group by 1, 2
)

select
    c.cohort_day,
    n.day_number,
    c.users,
    case when over_by then coalesce(k.users, 0) end as retained_bounded,
    case
        when over_by then coalesce(sum(l.users) over (
            partition by c.cohort_day order by n.day_number desc
            rows between unbounded preceding and current row
        ), 0)
    end as retained_unbounded
from (
    select cohort_day, users, (select max(day) from user_days) as last_day
    from kept where day_number = 0
) as c
cross join (select unnest(range(61)) as day_number) as n
cross join lateral (select c.cohort_day + cast(n.day_number as int) <= c.last_day as over_by)
left join kept as k on c.cohort_day = k.cohort_day and n.day_number = k.day_number
left join last_kept as l on c.cohort_day = l.cohort_day and n.day_number = l.day_number;

create macro chains(first_step, second_step, third_step, span) as table
with e as (
    select
        user_id,
        event_time,
        case event_name when first_step then 1 when second_step then 2 else 3 end as step
    from events
    where event_name in (first_step, second_step, third_step)
),

neighbours as (
    select *, lag(step) over (partition by user_id order by event_time, step) as previous_step
    from e
),

seen as (
    select
        *,
        max(event_time) filter (where step = 1) over w as last_1,
        max(event_time) filter (where step = 2) over w as last_2,
        max(event_time) filter (where step = 3) over w as last_3,
        max(event_time) filter (where previous_step = 1 and step = 2) over w as straight_from,
        max(event_time) filter (
            where step >= 2 and previous_step <> step and previous_step <> step - 1
        ) over w as broken_at
    from neighbours
    window w as (
        partition by user_id order by event_time, step
        rows between unbounded preceding and current row
    )
),

begun as (
    select
        *,
        max(last_1) filter (where step = 2) over (
            partition by user_id order by event_time, step
            rows between unbounded preceding and current row
        ) as begun
    from seen
    where last_1 is not null or last_2 is not null
)

select
    user_id,
    max(event_time + span) filter (where step = 1) as open_until,
    max(case
        when step = 3 and event_time - begun <= span then 3
        when step = 2 and event_time - last_1 <= span then 2
        else 1
    end) as ordered,
    max(case
        when step >= 2 and event_time - last_1 <= span
            and straight_from is not null and (broken_at is null or straight_from > broken_at)
            then step
        else 1
    end) as strict,
    max(case
        when greatest(event_time - last_1, event_time - last_2, event_time - last_3) <= span
            and last_1 is not null and last_2 is not null and last_3 is not null then 3
        when step <= 2 and greatest(event_time - last_1, event_time - last_2) <= span
            and last_1 is not null and last_2 is not null then 2
        else 1
    end) as any_order
from begun
group by user_id
having open_until is not null;

create table funnel_metrics as
with reached as (
    select 'shop' as funnel, * from chains('view', 'add_to_cart', 'purchase', interval 7 day)
    union all
    select 'find_and_play', * from chains('search', 'view', 'play', interval 1 day)
),

modes as (
    select r.funnel, m.mode, r.user_id, m.deepest,
        r.open_until >= (select max(day) from user_days) + 1 as is_open
    from reached as r
    cross join lateral (
        values ('ordered', ordered), ('strict', strict), ('any_order', any_order)
    ) as m (mode, deepest)
),

segments as (
    select m.*, s.segment, s.segment_value
    from modes as m
    left join user_attributes as a on m.user_id = a.user_id
    cross join lateral (
        values
            ('all', 'all'),
            ('device_type', a.device_type),
            ('acquisition_channel', a.acquisition_channel)
    ) as s (segment, segment_value)
    where s.segment <> 'acquisition_channel' or m.funnel = 'shop'
)

select
    funnel,
    mode,
    segment,
    segment_value,
    n.step,
    count(*) as entered_users,
    count(*) filter (where deepest >= n.step) as reached_users,
    count(*) filter (where deepest < n.step and is_open) as open_users
from segments
cross join (values (1), (2), (3)) as n (step)
group by 1, 2, 3, 4, 5;

create table experiment_units as
with exposures as (
    select
        experiment_id,
        user_id,
        arg_min(variant, (event_time, variant)) as variant,
        min(event_time) as first_exposure,
        cast(min(event_time) as date) as exposure_day,
        count(distinct variant) as variants
    from events
    where experiment_id is not null and variant is not null
    group by 1, 2
),

that_day as (
    select
        x.experiment_id,
        x.user_id,
        count(*) filter (where e.event_name = 'play') as plays,
        count(*) filter (where e.event_name = 'purchase') as purchases,
        sum(cast(e.value as decimal(18, 6))) filter (where e.event_name = 'purchase') as spent
    from exposures as x
    inner join events as e
        on x.user_id = e.user_id
        and e.event_time >= x.first_exposure
        and e.event_time < x.exposure_day + 1
    group by 1, 2
),

other_days as (
    select
        x.experiment_id,
        x.user_id,
        sum(plays) filter (where day > exposure_day) as plays,
        sum(purchases) filter (where day > exposure_day) as purchases,
        sum(spent) filter (where day > exposure_day) as spent,
        count(*) filter (where day >= exposure_day + 7) as days_back,
        sum(plays) filter (where day < exposure_day) as pre_plays,
        sum(purchases) filter (where day < exposure_day) as pre_purchases,
        sum(spent) filter (where day < exposure_day) as pre_spent,
        count(*) filter (where day < exposure_day) as pre_days
    from exposures as x
    inner join user_days as d
        on x.user_id = d.user_id
        and d.day >= x.exposure_day - 28
        and d.day < x.exposure_day + 14
    group by 1, 2
)

select
    x.experiment_id,
    x.user_id,
    x.variant,
    x.first_exposure,
    x.exposure_day,
    x.variants,
    a.country,
    a.device_type,
    t.plays + coalesce(o.plays, 0) as engagement,
    cast(t.purchases + coalesce(o.purchases, 0) > 0 as int) as conversion,
    coalesce(t.spent, 0) + coalesce(o.spent, 0) as revenue,
    case
        when (select max(day) from user_days) - x.exposure_day + 1 >= 14
            then cast(coalesce(o.days_back, 0) > 0 as int)
    end as retention,
    coalesce(o.pre_plays, 0) as pre_engagement,
    cast(coalesce(o.pre_purchases, 0) > 0 as int) as pre_conversion,
    coalesce(o.pre_spent, 0) as pre_revenue,
    cast(coalesce(o.pre_days, 0) > 0 as int) as pre_retention,
    coalesce(o.pre_days, 0) as pre_active_days,
    t.plays as first_plays,
    t.purchases as first_purchases,
    coalesce(t.spent, 0) as first_spent
from exposures as x
inner join that_day as t on x.experiment_id = t.experiment_id and x.user_id = t.user_id
left join other_days as o on x.experiment_id = o.experiment_id and x.user_id = o.user_id
left join user_attributes as a on x.user_id = a.user_id;

-- One row per unit and day, with totals to date, and moments over it.
create table experiment_daily_metrics as
with days as (
    select
        u.experiment_id,
        u.variant,
        u.user_id,
        c.day,
        c.day - u.exposure_day as age,
        sum(if(c.day = u.exposure_day, u.first_plays, coalesce(d.plays, 0))) over w as plays,
        sum(if(c.day = u.exposure_day, u.first_purchases, coalesce(d.purchases, 0))) over w
            as purchases,
        sum(if(c.day = u.exposure_day, u.first_spent, coalesce(d.spent, 0))) over w as spent,
        u.retention,
        u.pre_engagement, u.pre_conversion, u.pre_revenue, u.pre_retention, u.pre_active_days
    from experiment_units as u
    inner join (select distinct day from user_days) as c on c.day >= u.exposure_day
    left join user_days as d
        on u.user_id = d.user_id and c.day = d.day and d.day < u.exposure_day + 14
    where u.variants = 1
    window w as (
        partition by u.experiment_id, u.user_id order by c.day
        rows between unbounded preceding and current row
    )
),

long as (
    select d.*, m.metric, m.min_age, m.x
    from days as d
    cross join lateral (
        values
            ('engagement', 0, cast(plays as double)),
            ('conversion', 0, cast(purchases > 0 as double)),
            ('revenue', 0, cast(spent as double)),
            ('retention', 14, cast(retention as double)),
            ('pre_engagement', 0, cast(pre_engagement as double)),
            ('pre_conversion', 0, cast(pre_conversion as double)),
            ('pre_revenue', 0, cast(pre_revenue as double)),
            ('pre_retention', 0, cast(pre_retention as double)),
            ('pre_active_days', 0, cast(pre_active_days as double)),
            ('pre_engagement', 14, cast(pre_engagement as double)),
            ('pre_conversion', 14, cast(pre_conversion as double)),
            ('pre_revenue', 14, cast(pre_revenue as double)),
            ('pre_retention', 14, cast(pre_retention as double)),
            ('pre_active_days', 14, cast(pre_active_days as double))
    ) as m (metric, min_age, x)
    where m.min_age = 0 or d.age + 1 >= m.min_age
)

select
    experiment_id,
    variant,
    day,
    metric,
    min_age,
    count(*) as units,
    avg(x) as mean,
    var_pop(x) * count(*) as m2,
    covar_pop(x, pre_engagement) * count(*) as cross_pre_engagement,
    covar_pop(x, pre_conversion) * count(*) as cross_pre_conversion,
    covar_pop(x, pre_revenue) * count(*) as cross_pre_revenue,
    covar_pop(x, pre_retention) * count(*) as cross_pre_retention,
    covar_pop(x, pre_active_days) * count(*) as cross_pre_active_days
from long
group by 1, 2, 3, 4, 5;
