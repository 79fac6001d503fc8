{{ config(
    materialized='delete_insert',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where {{ this }}.user_id in (select user_id from {{ ref('changed_attributes') }}){% endif %}"
) }}
-- depends_on: {{ ref('changed_attributes') }}
-- Grain: one row per user_id. What exports pass through, as last known.
select
    user_id
    <%- for name in pass_through %>,
    arg_max(json_extract_string(attributes, << name.path >>), (is_own, ordered_by, load_id, line)) as << name.column >>
    <%- endfor %>
from {{ ref('owned_attributes') }}
{%- if is_incremental() %}
where user_id in (select user_id from {{ ref('changed_attributes') }})
{%- endif %}
group by user_id
