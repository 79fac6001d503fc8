{{ config(
    materialized='delete_insert',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where {{ this }}.day >= date '0001-01-01' + {{ changed('since_days', 0) }}{% endif %}"
) }}
-- Grain: one row per UTC day that has events.
select
    cast(event_time as date) as day,
    count(*) as events
from {{ source('landing', 'events') }}
{%- if is_incremental() %}
where event_time >= cast(date '0001-01-01' + {{ changed('since_days', 0) }} as timestamp)
{%- endif %}
group by cast(event_time as date)
