-- One row per experiment_id, variant, day, metric and min_age. Squares are not negative, and a
-- covariate's cross-moment with itself is its second moment (a millionth is what rounding may do).
select experiment_id, variant, day, metric, min_age
from {{ ref('experiment_daily_metrics') }}
group by experiment_id, variant, day, metric, min_age
having count(*) > 1

union all

select experiment_id, variant, day, metric, min_age
from {{ ref('experiment_daily_metrics') }}
where m2 < 0
    or units < 1
    <%- for name in experiments.covariates %>
    or (metric = '<< name >>' and abs(cross_<< name >> - m2) > 0.000001 * (1 + m2))
    <%- endfor %>
