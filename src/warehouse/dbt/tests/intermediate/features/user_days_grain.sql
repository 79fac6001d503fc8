-- One row per user_id, version and day.
select user_id, version, day
from {{ ref('user_days') }}
group by user_id, version, day
having count(*) > 1
