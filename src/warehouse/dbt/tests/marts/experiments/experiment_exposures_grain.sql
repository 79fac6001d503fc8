-- One row per experiment_id, user_id, version and variant.
select experiment_id, user_id, version, variant
from {{ ref('experiment_exposures') }}
group by experiment_id, user_id, version, variant
having count(*) > 1
