-- On the last day of the log the moments are those of experiment_units, mixed ones left out: as many
-- units, and totals and squares that agree but for rounding. (Covariates of units of some age alone are
-- not looked at.)
with by_units as (
    <%- for row in unit_metrics %>
    <% if not loop.first %>union all
    <% endif -%>
    select
        experiment_id,
        variant,
        '<< row.metric >>' as metric,
        << row.min_age >> as min_age,
        count(<< sql.name(row.metric) >>) as units,
        cast(sum(<< sql.name(row.metric) >>) as << sql.double >>) as total,
        var_pop(<< sql.name(row.metric) >>) * count(<< sql.name(row.metric) >>) as m2
    from {{ ref('experiment_units') }}
    where not is_mixed
    group by experiment_id, variant
    having count(<< sql.name(row.metric) >>) > 0
    <%- endfor %>
),

by_days as (
    select m.*
    from {{ ref('experiment_daily_metrics') }} as m
    inner join {{ ref('calendar') }} as c on m.day = c.day
    where c.is_last and (m.min_age = 0 or m.metric not in ('<< experiments.covariates | join("', '") >>'))
)

select *
from by_units as u
full outer join by_days as d
    on u.experiment_id = d.experiment_id
    and u.variant = d.variant
    and u.metric = d.metric
    and u.min_age = d.min_age
where u.units is distinct from d.units
    or abs(u.total - d.mean * d.units) > 0.000001 * (1 + abs(u.total))
    or abs(u.m2 - d.m2) > 0.000001 * (1 + u.m2)
