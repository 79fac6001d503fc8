-- One row per user_id and as_of.
select user_id, as_of
from {{ ref('user_features') }}
group by user_id, as_of
having count(*) > 1
