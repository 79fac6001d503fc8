-- Grain: one row per user_id. What exports pass through, as last known.
select
    user_id
    <%- for name in pass_through %>,
    arg_max(json_extract_string(attributes, << name.path >>), (coalesce(valid_from, timestamp '0001-01-01 00:00:00'), load_id, line)) as << name.column >>
    <%- endfor %>
from {{ source('landing', 'users') }}
group by user_id
