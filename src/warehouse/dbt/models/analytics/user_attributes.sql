{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where {{ this }}.user_id in (select user_id from {{ source('landing', 'users') }} where load_id > {{ changed('built_load', 2147483647) }}){% endif %}"
) }}
-- Grain: one row per user_id of the users file.
-- The static attributes that marts divide users by, each as last given.
select
    user_id
    <%- for attribute in used_attributes %>,
    << sql.latest(sql.json_text('attributes', attribute.path), ["coalesce(valid_from, timestamp '0001-01-01 00:00:00')", 'load_id', 'line']) >>
        as << sql.name(attribute.name) >>
    <%- endfor %>
from {{ source('landing', 'users') }}
{%- if is_incremental() %}
where user_id in (
    select user_id from {{ source('landing', 'users') }}
    where load_id > {{ changed('built_load', 2147483647) }}
)
{%- endif %}
group by user_id
