{{ config(
    materialized='delete_insert',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where {{ this }}.day >= date '0001-01-01' + {{ changed('since_days', 0) }} or {{ this }}.day > (select max(day) from {{ ref('calendar') }}){% endif %}"
) }}
-- Grain: one row per UTC day, from the first event's to the last one's.
-- Who is active in a window of n days that ends on a day: an active day counts from itself on, until
-- n days have gone by or the same user's next active day takes over. So a distinct count over a
-- moving window is a running sum of one plus and one minus per active day. A later build makes
-- anew the days after the last one that stands, for which the active days of one window are enough.
with
{%- if is_incremental() %}
standing as (
    select coalesce(max(day), date '0001-01-01') as last_day from {{ this }}
),
{% endif %}
active_days as (
    select
        day,
        lead(day) over (partition by user_id order by day) as next_day
    from {{ ref('people_days') }}
    where
        all_events > 0
        {%- if is_incremental() %}
        and day > (select last_day from standing) - 29
        {%- endif %}
),

changes as (
    select
        day,
        count(*) as active,
        0 as left_week,
        0 as left_month
    from active_days
    group by day
    <%- for left_week, left_month, days in [(1, 0, 7), (0, 1, 30)] %>
    union all
    select
        least(next_day, << sql.plus_days('day', days) >>),
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
    {%- if is_incremental() %}
    where day > (select last_day from standing)
    {%- endif %}
    group by day
),

new_users as (
    select
        day,
        users
    from {{ ref('cohort_days') }}
    where day = cohort_day
),

moving as (
    select
        c.day,
        sum(coalesce(h.active, 0)) as active,
        sum(coalesce(h.active, 0) - coalesce(h.left_week, 0)) as week,
        sum(coalesce(h.active, 0) - coalesce(h.left_month, 0)) as month
    from {{ ref('calendar') }} as c
    left join changes as h on c.day = h.day
    group by c.day
),

daily as (
    select
        day,
        active,
        sum(week) over (order by day) as wau,
        sum(month) over (order by day) as mau
    from moving
)

select
    d.day,
    cast(d.active as bigint) as dau,
    cast(d.wau as bigint) as wau,
    cast(d.mau as bigint) as mau,
    cast(coalesce(n.users, 0) as bigint) as new_users,
    cast(coalesce(t.sessions, 0) as bigint) as sessions,
    cast(<< 'coalesce(t.revenue, 0)' if revenue else 't.revenue' >> as decimal(38, 6)) as revenue,
    cast(coalesce(t.events, 0) as bigint) as events
from daily as d
left join totals as t on d.day = t.day
left join new_users as n on d.day = n.day
{%- if is_incremental() %}
where d.day > (select last_day from standing)
{%- endif %}
