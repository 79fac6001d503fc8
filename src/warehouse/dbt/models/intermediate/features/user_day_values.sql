{{ config(
    materialized='delete_insert',
    meta={'day_of': 'day'},
    pre_hook="{% if is_incremental() %}delete from {{ this }} using {{ ref('changed_users') }} as t where {{ this }}.user_id = t.user_id and {{ this }}.day >= cast(t.earliest as date){% endif %}"
) }}
-- depends_on: {{ ref('changed_users') }}, {{ ref('changed_events') }}
-- Grain: one row per feature, user_id, version, day and value: what counts of different values and
-- the most frequent value need.
<%- for distinct in distincts %>
<% if not loop.first %>union all
<% endif -%>
select
    '<< distinct.feature >>' as feature,
    user_id,
    version,
    cast(event_time as date) as day,
    cast(<< distinct.sql >> as varchar) as value,
    count(*) as events
from {% if is_incremental() %}{{ ref('changed_events') }}{% else %}{{ ref('user_events') }}{% endif %}
where
    {% if is_incremental() %}event_time >= date_trunc('day', earliest) and event_time >= cast(date '0001-01-01' + {{ changed('since_days', 0) }} as timestamp) and {% endif -%}
    << distinct.where >> and << distinct.sql >> is not null
group by 2, 3, 4, 5
<%- endfor %>
