{{ config(
    materialized='delete_insert',
    pre_hook="{% if is_incremental() %}delete from {{ this }} using {{ ref('changed_users') }} as t where {{ this }}.user_id = t.user_id{% endif %}"
) }}
-- depends_on: {{ ref('changed_users') }}
-- Grain: one row per person with an event, as known today: their first and last active day, and
-- for each funnel the time at which they last entered it.
select
    user_id,
    min(day) filter (where all_events > 0) as first_day,
    max(day) filter (where all_events > 0) as last_day
    <%- for funnel in funnels %>,
    max(<< funnel.entry >>) as << funnel.entry >>
    <%- endfor %>
from {{ ref('people_days') }}
{%- if is_incremental() %}
where user_id in (select user_id from {{ ref('changed_users') }})
{%- endif %}
group by user_id
having max(all_events) > 0
