{{ config(materialized='view') }}
-- Grain: one row per user_id and UTC day: user_days of people as known today.
select *
from {{ ref('user_days') }}
where is_current
