{{ config(
    materialized='delete_insert',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where {{ this }}.user_id in (select user_id from {{ ref('changed_attributes') }}){% endif %}"
) }}
-- depends_on: {{ ref('changed_attributes') }}
-- Grain: one row per user_id of the users file, and per person such an id is linked to.
-- The static attributes that marts divide users by, each as last given.
select
    user_id
    <%- for attribute in used_attributes %>,
    << sql.latest(sql.json_text('attributes', attribute.path), ['is_own', 'ordered_by', 'load_id', 'line']) >>
        as << sql.name(attribute.name) >>
    <%- endfor %>
from {{ ref('owned_attributes') }}
{%- if is_incremental() %}
where user_id in (select user_id from {{ ref('changed_attributes') }})
{%- endif %}
group by user_id
