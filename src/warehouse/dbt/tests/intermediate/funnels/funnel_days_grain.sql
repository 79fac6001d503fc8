-- One row per funnel, user_id, version and day; strict chains are ordered ones, and those are some
-- order.
select funnel, user_id, version, day
from {{ ref('funnel_days') }}
group by funnel, user_id, version, day
having count(*) > 1
    or max(strict_step) > max(ordered_step)
    or max(ordered_step) > max(any_order_step)
    or max(any_order_step) < 2
