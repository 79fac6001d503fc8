{{ config(
    materialized='delete_insert',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where {{ this }}.day >= date '0001-01-01' + {{ changed('since_days', 0) }}{% endif %}"
) }}
-- Grain: one row per cohort_day (the users' first active day) and UTC day on which some were active.
-- Nothing before the first change is another: whoever came new since then belongs to a later cohort.
select
    p.first_day as cohort_day,
    d.day,
    count(*) as users
from {{ ref('people_days') }} as d
inner join {{ ref('people') }} as p on d.user_id = p.user_id
where
    d.all_events > 0
    {%- if is_incremental() %}
    and d.day >= date '0001-01-01' + {{ changed('since_days', 0) }}
    {%- endif %}
group by p.first_day, d.day
