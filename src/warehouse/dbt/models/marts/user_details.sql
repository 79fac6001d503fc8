{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where {{ this }}.user_id in (select user_id from {{ source('landing', 'users') }} where load_id > {{ changed('built_load', 2147483647) }}){% endif %}"
) }}
-- Grain: one row per user_id. What exports pass through, as last known.
select
    user_id
    <%- for name in pass_through %>,
    arg_max(json_extract_string(attributes, << name.path >>), (coalesce(valid_from, timestamp '0001-01-01 00:00:00'), load_id, line)) as << name.column >>
    <%- endfor %>
from {{ source('landing', 'users') }}
{%- if is_incremental() %}
where user_id in (
    select user_id from {{ source('landing', 'users') }}
    where load_id > {{ changed('built_load', 2147483647) }}
)
{%- endif %}
group by user_id
