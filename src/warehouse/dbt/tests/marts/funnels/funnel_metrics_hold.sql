-- One row per funnel, mode, segment, value and step; everybody who entered is at step 1; fewer reach
-- a deeper step, fewer in order than in any order, and fewer still without a step between; whoever is
-- still open has not reached the step; the values of a segment add up to all.
with steps as (
    select
        m.*,
        lag(reached_users) over by_step as before,
        count(*) over (partition by funnel, mode, segment, segment_value, step) as same,
        sum(reached_users) over (partition by funnel, mode, segment, step) as segment_reached,
        sum(entered_users) over (partition by funnel, mode, segment, step) as segment_entered,
        max(case when mode = 'strict' then reached_users end) over by_modes as strict_users,
        max(case when mode = 'ordered' then reached_users end) over by_modes as ordered_users,
        max(case when mode = 'any_order' then reached_users end) over by_modes as any_order_users
    from {{ ref('funnel_metrics') }} as m
    window
        by_step as (partition by funnel, mode, segment, segment_value order by step),
        by_modes as (partition by funnel, segment, segment_value, step)
)

select s.funnel, s.mode, s.segment, s.segment_value, s.step
from steps as s
left join {{ ref('funnel_metrics') }} as a
    on s.funnel = a.funnel and s.mode = a.mode and s.step = a.step and a.segment = '<< all_users >>'
where s.same > 1
    or s.reached_users > s.before
    or (s.step = 1 and (s.reached_users <> s.entered_users or s.open_users <> 0))
    or s.reached_users + s.open_users > s.entered_users
    or s.strict_users > s.ordered_users
    or s.ordered_users > s.any_order_users
    or s.segment_reached is distinct from a.reached_users
    or s.segment_entered is distinct from a.entered_users
