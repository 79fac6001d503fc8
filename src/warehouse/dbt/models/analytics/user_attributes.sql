-- Grain: one row per user_id of the users file.
-- The static attributes that marts divide users by, each as last given.
select
    user_id
    <%- for attribute in used_attributes %>,
    << sql.latest(sql.json_text('attributes', attribute.path), ["coalesce(valid_from, timestamp '0001-01-01 00:00:00')", 'load_id', 'line']) >>
        as << sql.name(attribute.name) >>
    <%- endfor %>
from {{ source('landing', 'users') }}
group by user_id
