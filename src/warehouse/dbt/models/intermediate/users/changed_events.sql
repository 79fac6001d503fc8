{{ config(materialized='view') }}
-- Grain: one row per event, user_id and version, of changed users alone, their whole past included.
select e.*, t.earliest
from {{ ref('user_events') }} as e
inner join {{ ref('changed_users') }} as t on e.user_id = t.user_id
