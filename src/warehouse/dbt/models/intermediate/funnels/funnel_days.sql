{{ config(
    materialized='delete_insert',
    meta={'day_of': 'day'},
    pre_hook="{% if is_incremental() %}delete from {{ this }} using {{ ref('changed_users') }} as t where {{ this }}.user_id = t.user_id and {{ this }}.day >= cast(t.earliest as date){% endif %}"
) }}
-- depends_on: {{ ref('changed_users') }}, {{ ref('changed_events') }}
-- Grain: one row per funnel, user_id, version and UTC day on which some chain of steps ended.
-- For each mode the deepest step that a chain ending on that day reached, from the second step on
-- (0: none); entries, the first step, are in user_days. Days merge by the maximum, and the rows from a
-- day on follow from the events of one window before it.
--
-- What counts is how late a chain may have begun: running maxima carry the latest begin, and no event
-- is joined with another. Events at one time are taken in the order of the steps. Of a run of one
-- step the first event ends every chain that a later one ends, so only runs' first events go on.
with
<%- for funnel in funnels %>
<%- set f = 'f' ~ loop.index %>
<%- set count = funnel.steps | length %>
<%- set within = "interval '" ~ funnel.seconds ~ "' second" %>
<%- if not loop.first %>,
<% endif %>
<< f >>_events as (
    select
        user_id,
        version,
        event_time,
        cast(case event_name
            <%- for step in funnel.steps %>
            when << step.text >> then << step.number >>
            <%- endfor %>
        end as smallint) as step
    from {% if is_incremental() %}{{ ref('changed_events') }}{% else %}{{ ref('user_events') }}{% endif %}
    where
        event_name in (<< funnel.names >>)
        {%- if is_incremental() %}
        and event_time >= date_trunc('day', earliest) - << within >>
        and event_time >= cast(date '0001-01-01' + {{ changed('since_days', 0) }} as timestamp) - << within >>
        {%- endif %}
),

<< f >>_ordered as (
    select
        user_id,
        version,
        event_time,
        step,
        lag(step) over by_time as previous_step,
        lag(event_time) over by_time as previous_time
    from << f >>_events
    window by_time as (partition by user_id, version order by event_time, step)
),

<< f >>_seen as (
    select
        user_id,
        version,
        event_time,
        step,
        <%- for step in funnel.steps %>
        max(
            case
                when step = << step.number >> then event_time
                when previous_step = << step.number >> then previous_time
            end
        ) over so_far as last_<< step.number >>,
        <%- endfor %>
        max(case when previous_step = 1 and step = 2 then event_time end) over so_far as straight_from,
        max(case when step >= 2 and previous_step <> step - 1 then event_time end) over so_far as broken_at
    from << f >>_ordered
    -- A user's first event ends no chain either; that it was there is read off the event after it.
    where previous_step <> step
    window so_far as (
        partition by user_id, version
        order by event_time, step
        rows between unbounded preceding and current row
    )
)
<%- for k in range(3, count + 1) %>,

<< f >>_step_<< k >> as (
    select
        user_id,
        version,
        event_time,
        step,
        max(case when step = << k - 1 >> then << 'last_1' if k == 3 else 'begun' >> end) over (
            partition by user_id, version
            order by event_time, step
            rows between unbounded preceding and current row
        ) as begun
    from << f >>_<< 'seen' if k == 3 else 'step_' ~ (k - 1) >>
    where step >= << k - 1 >>
)
<%- endfor %>,

<< f >>_reached as (
    select
        user_id,
        version,
        cast(event_time as date) as day,
        case when step = 2 and event_time - last_1 <= << within >> then 2 else 0 end as ordered_step,
        case
            when
                step >= 2
                and event_time - last_1 <= << within >>
                and (straight_from > broken_at or (straight_from is not null and broken_at is null))
                then step
            else 0
        end as strict_step,
        case
            <%- for k in range(count, 1, -1) %>
            when
                step <= << k >>
                <%- for j in range(1, k + 1) %>
                and event_time - last_<< j >> <= << within >>
                <%- endfor %>
                then << k >>
            <%- endfor %>
            else 0
        end as any_order_step
    from << f >>_seen
    <%- for k in range(3, count + 1) %>
    union all
    select user_id, version, cast(event_time as date), << k >>, 0, 0
    from << f >>_step_<< k >>
    where step = << k >> and event_time - begun <= << within >>
    <%- endfor %>
)
<%- endfor %>
<% for funnel in funnels %>
<%- if not loop.first %>
union all
<%- endif %>
select
    << funnel.text >> as funnel,
    r.user_id,
    r.version,
    r.day,
    max(r.ordered_step) as ordered_step,
    max(r.strict_step) as strict_step,
    max(r.any_order_step) as any_order_step
from f<< loop.index >>_reached as r
{%- if is_incremental() %}
inner join {{ ref('changed_users') }} as t on r.user_id = t.user_id and r.day >= cast(t.earliest as date)
{%- endif %}
where r.any_order_step > 0 or r.ordered_step > 0
group by r.user_id, r.version, r.day
<%- endfor %>
