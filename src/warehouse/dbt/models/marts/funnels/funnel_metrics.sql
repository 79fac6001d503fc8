-- Grain: one row per funnel, mode, segment, segment_value and step.
-- People as known today who entered, by how far they got. A window is open when it had not ended by
-- midnight after the log's last day.
with entries as (
    <%- for funnel in funnels %>
    <% if not loop.first %>union all
    <% endif -%>
    select
        << funnel.text >> as funnel,
        user_id,
        << funnel.entry >> + interval '<< funnel.seconds >>' second as open_until
    from {{ ref('people') }}
    where << funnel.entry >> is not null
    <%- endfor %>
),

chains as (
    select
        d.funnel,
        d.user_id,
        max(d.ordered_step) as ordered_step,
        max(d.strict_step) as strict_step,
        max(d.any_order_step) as any_order_step
    from {{ ref('funnel_days') }} as d
    where
        not exists (
            select 1
            from {{ ref('past_versions') }} as p
            where p.user_id = d.user_id and p.version = d.version
        )
    group by d.funnel, d.user_id
),

judged as (
    select
        e.funnel,
        e.user_id,
        <%- for mode in ['ordered', 'strict', 'any_order'] %>
        case when c.<< mode >>_step > 1 then c.<< mode >>_step else 1 end as << mode >>_step,
        <%- endfor %>
        e.open_until >= << sql.at_midnight(sql.plus_days('l.day', 1)) >> as is_open
    from entries as e
    left join chains as c on e.funnel = c.funnel and e.user_id = c.user_id
    cross join {{ ref('calendar') }} as l
    where l.is_last
),

divided as (
    select
        u.funnel, '<< all_users >>' as segment, '<< all_users >>' as segment_value,
        u.ordered_step, u.strict_step, u.any_order_step, u.is_open, count(*) as users
    from judged as u
    group by u.funnel, u.ordered_step, u.strict_step, u.any_order_step, u.is_open
    <%- for funnel in funnels %>
    <%- for segment in funnel.segments %>
    union all
    select
        u.funnel, '<< segment >>', a.<< sql.name(segment) >>,
        u.ordered_step, u.strict_step, u.any_order_step, u.is_open, count(*)
    from judged as u
    left join {{ ref('user_attributes') }} as a on u.user_id = a.user_id
    where u.funnel = << funnel.text >>
    group by
        u.funnel, a.<< sql.name(segment) >>,
        u.ordered_step, u.strict_step, u.any_order_step, u.is_open
    <%- endfor %>
    <%- endfor %>
),

by_mode as (
    <%- for mode in ['ordered', 'strict', 'any_order'] %>
    <% if not loop.first %>union all
    <% endif -%>
    select
        '<< mode >>' as mode,
        funnel, segment, segment_value, << mode >>_step as deepest, is_open, users
    from divided
    <%- endfor %>
),

steps as (
    <%- for funnel in funnels %>
    <%- set first = loop.first %>
    <%- for step in funnel.steps %>
    <% if not (first and loop.first) %>union all
    <% endif -%>
    select << funnel.text >> as funnel, << step.number >> as step, << step.text >> as event_name
    <%- endfor %>
    <%- endfor %>
)

select
    m.funnel,
    m.mode,
    m.segment,
    m.segment_value,
    s.step,
    s.event_name,
    cast(sum(m.users) as bigint) as entered_users,
    cast(coalesce(sum(m.users) filter (where m.deepest >= s.step), 0) as bigint) as reached_users,
    cast(coalesce(sum(m.users) filter (where m.deepest < s.step and m.is_open), 0) as bigint)
        as open_users
from by_mode as m
inner join steps as s on m.funnel = s.funnel
group by m.funnel, m.mode, m.segment, m.segment_value, s.step, s.event_name
