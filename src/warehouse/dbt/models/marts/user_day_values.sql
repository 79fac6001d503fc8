-- Grain: one row per feature, user_id, version, day and value: what counts of different values need.
<%- for distinct in distincts %>
<% if not loop.first %>union all
<% endif -%>
select distinct
    '<< distinct.feature >>' as feature,
    user_id,
    version,
    cast(event_time as date) as day,
    cast(<< distinct.sql >> as varchar) as value
from {{ ref('user_events') }}
where << distinct.where >> and << distinct.sql >> is not null
<%- endfor %>
