{{ config(materialized='view') }}
-- Grain: one row per user_id and UTC day: user_days of people as known today, up to the day of the
-- last load: a device whose clock is ahead has no day that has not begun.
select *
from {{ ref('user_days') }}
where is_current and day <= (select cast(max(loaded_at) as date) from {{ source('landing', 'loads') }})
