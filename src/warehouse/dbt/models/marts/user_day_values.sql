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
from {{ ref('user_events') }}
where << distinct.where >> and << distinct.sql >> is not null
group by 2, 3, 4, 5
<%- endfor %>
