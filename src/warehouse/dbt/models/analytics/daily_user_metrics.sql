-- Grain: one row per UTC day, from the first event's to the last one's.
-- Who is active in a window of n days that ends on a day: an active day counts from itself on, until
-- n days have gone by or the same user's next active day takes over. So a distinct count over a
-- moving window is a running sum of one plus and one minus per active day.
with active_days as (
    select
        day,
        lag(day) over by_day as previous_day,
        lead(day) over by_day as next_day
    from {{ ref('people_days') }}
    where all_events > 0
    window by_day as (partition by user_id order by day)
),

changes as (
    select
        day,
        count(*) as active,
        count(*) filter (where previous_day is null) as new_users,
        0 as left_week,
        0 as left_month
    from active_days
    group by day
    <%- for left_week, left_month, days in [(1, 0, 7), (0, 1, 30)] %>
    union all
    select
        least(next_day, << sql.plus_days('day', days) >>),
        0,
        0,
        << 'count(*)' if left_week else 0 >>,
        << 'count(*)' if left_month else 0 >>
    from active_days
    group by least(next_day, << sql.plus_days('day', days) >>)
    <%- endfor %>
),

totals as (
    select
        day,
        sum(all_events) as events,
        sum(all_sessions) as sessions,
        << 'sum(' ~ revenue ~ ')' if revenue else 'cast(null as decimal(38, 6))' >> as revenue
    from {{ ref('people_days') }}
    group by day
),

daily as (
    select
        c.day,
        coalesce(sum(h.active), 0) as active,
        coalesce(sum(h.new_users), 0) as new_users,
        coalesce(sum(h.left_week), 0) as left_week,
        coalesce(sum(h.left_month), 0) as left_month
    from {{ ref('calendar') }} as c
    left join changes as h on c.day = h.day
    group by c.day
)

select
    d.day,
    cast(d.active as bigint) as dau,
    cast(sum(d.active - d.left_week) over (order by d.day) as bigint) as wau,
    cast(sum(d.active - d.left_month) over (order by d.day) as bigint) as mau,
    cast(d.new_users as bigint) as new_users,
    cast(coalesce(t.sessions, 0) as bigint) as sessions,
    cast(<< 'coalesce(t.revenue, 0)' if revenue else 't.revenue' >> as decimal(38, 6)) as revenue,
    cast(coalesce(t.events, 0) as bigint) as events
from daily as d
left join totals as t on d.day = t.day
