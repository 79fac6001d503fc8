{{ config(materialized='view') }}
-- Grain: one row per accepted event.
select
    event_id,
    user_id,
    event_time,
    event_name,
    value,
    session_id as source_session_id,
    -- What names a group: spaces around it do not count, and a written null is none.
    case when lower(trim(experiment_id)) not in ('', 'null', 'nan') then trim(experiment_id) end
        as experiment_id,
    case when lower(trim(variant)) not in ('', 'null', 'nan') then trim(variant) end as variant,
    platform,
    device,
    geo,
    properties,
    load_id
from {{ source('landing', 'events') }}
<% if trust_until -%>
-- The log thins out after this day; what lies there would read as users gone quiet.
where event_time < timestamp '<< trust_until >> 00:00:00'
<% endif %>
