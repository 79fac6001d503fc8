{{ config(
    materialized='delete_insert',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where {{ this }}.day >= date '0001-01-01' + {{ changed('since_days', 0) }} or {{ this }}.day > (select max(day) from {{ ref('calendar') }}){% endif %}"
) }}
-- Grain: one row per experiment_id, variant, day, metric and min_age.
-- Moments of units' totals to the end of the day, centred: of the metric, and of it with each
-- covariate, over units that were exposed by then and had not seen a second variant; where min_age
-- is above 0, only units whose first so many days (the exposure's included) were over.
--
-- A unit's totals change on few days. Units that have the same values from one day to another make a
-- group with moments of its own. The groups of one day share no unit, so their moments merge (Chan,
-- Golub and LeVeque 1983), and nothing is expanded to one row per unit and day. A later build makes
-- anew the days after the last one that stands: units whose own days were over by then have their
-- outcomes already, and what was replaced by then is left out.
<%- set covariates = experiments.covariates %>
<%- macro moments(values) %>
        count(*) as units
        <%- for _ in covariates %>,
        avg(x<< loop.index >>) as mean_x<< loop.index >>
        <%- endfor %>
        <%- for value in values %>,
        <%- if value not in covariate_columns %>
        avg(<< value >>) as mean_<< value >>,
        <%- endif %>
        var_pop(<< value >>) * count(*) as m2_<< value >>
        <%- for _ in covariates %>,
        covar_pop(<< value >>, x<< loop.index >>) * count(*) as cross_<< value >>_x<< loop.index >>
        <%- endfor %>
        <%- endfor %>
<%- endmacro %>
<%- macro rows_of(value, metric, age, relation) %>
    select
        experiment_id,
        variant,
        from_day,
        to_day,
        '<< metric >>' as metric,
        << age >> as min_age,
        units,
        mean_<< value >> as mean,
        m2_<< value >> as m2
        <%- for _ in covariates %>,
        mean_x<< loop.index >> as mean_<< loop.index >>,
        cross_<< value >>_x<< loop.index >> as cross_<< loop.index >>
        <%- endfor %>
    from << relation >>
<%- endmacro %>
<%- set most_days = growing | map(attribute='days') | max if growing else 0 %>
with
{%- if is_incremental() %}
standing as (
    select coalesce(max(day), date '0001-01-01') as last_day from {{ this }}
),
{% endif %}
units as (
    select
        x.*,
        {%- if is_incremental() %}
        (select last_day from standing) + 1 as start_day,
        {%- else %}
        date '0001-01-01' as start_day,
        {%- endif %}
        coalesce(cast(x.mixed_since as date), << sql.never >>) as until_day
        <%- for outcome in growing %>,
        cast(u.<< sql.name(outcome.name) >> as << sql.double >>) as y_<< outcome.name >>
        <%- endfor %>
        <%- for outcome in experiments.outcomes if not outcome.grows %>,
        cast(u.<< sql.name(outcome.name) >> as << sql.double >>) as y_<< outcome.name >>
        <%- endfor %>
        <%- for name in covariates %>,
        cast(u.<< name >> as << sql.double >>) as x<< loop.index >>
        <%- endfor %>
    from {{ ref('first_exposures') }} as x
    inner join {{ ref('experiment_units') }} as u
        on x.experiment_id = u.experiment_id and x.user_id = u.user_id
)
<%- if growing %>,

growing_units as (
    select *
    from units
    where << sql.plus_days('exposure_day', most_days) >> > start_day
),

changes as (
    select
        experiment_id,
        user_id,
        exposure_day as day
        <%- for outcome in growing %>,
        << outcome.state if outcome.first_day == 0 else 0 >> as y_<< outcome.name >>
        <%- endfor %>
    from growing_units
    union all
    select
        u.experiment_id,
        u.user_id,
        d.day
        <%- for outcome in growing %>,
        case
            when
                d.day >= << sql.plus_days('u.exposure_day', outcome.first_day) >>
                and d.day < << sql.plus_days('u.exposure_day', outcome.days) >>
                then coalesce(d.<< outcome.state >>, 0)
            else 0
        end
        <%- endfor %>
    from growing_units as u
    inner join {{ ref('people_days') }} as d
        on u.user_id = d.user_id
        and d.day > u.exposure_day
        and d.day < << sql.plus_days('u.exposure_day', most_days) >>
    where
        <%- for outcome in growing %>
        << 'or ' if not loop.first >>coalesce(d.<< outcome.state >>, 0) <> 0
        <%- endfor %>
),

running as (
    select
        experiment_id,
        user_id,
        day as from_day,
        coalesce(
            lead(day) over (partition by experiment_id, user_id order by day), << sql.never >>
        ) as to_day
        <%- for outcome in growing %>,
        sum(y_<< outcome.name >>) over to_date as y_<< outcome.name >>
        <%- endfor %>
    from changes
    window to_date as (
        partition by experiment_id, user_id
        order by day
        rows between unbounded preceding and current row
    )
),

steps as (
    select
        u.experiment_id,
        u.variant,
        greatest(r.from_day, u.start_day) as from_day,
        least(r.to_day, u.until_day) as to_day
        <%- for outcome in growing %>,
        <%- if outcome.kind == 'any' %>
        case when r.y_<< outcome.name >> > 0 then cast(1 as << sql.double >>) else cast(0 as << sql.double >>) end
        <%- else %>
        cast(r.y_<< outcome.name >> as << sql.double >>)
        <%- endif %> as y_<< outcome.name >>
        <%- endfor %>
        <%- for _ in covariates %>,
        u.x<< loop.index >>
        <%- endfor %>
    from running as r
    inner join growing_units as u on r.experiment_id = u.experiment_id and r.user_id = u.user_id
    where r.from_day < u.until_day and r.to_day > u.start_day and u.until_day > u.start_day
    union all
    select
        experiment_id,
        variant,
        start_day,
        until_day
        <%- for outcome in growing %>,
        y_<< outcome.name >>
        <%- endfor %>
        <%- for _ in covariates %>,
        x<< loop.index >>
        <%- endfor %>
    from units
    where << sql.plus_days('exposure_day', most_days) >> <= start_day and until_day > start_day
),

growing as (
    select
        experiment_id,
        variant,
        from_day,
        to_day,
        << moments(growing | map(attribute='column')) >>
    from steps
    group by experiment_id, variant, from_day, to_day
)
<%- endif %>
<%- for age in experiments.ages %>
<%- set fixed = experiments.outcomes | selectattr('min_age', 'equalto', age) | rejectattr('grows') | list %>,

fixed_<< age >> as (
    select
        experiment_id,
        variant,
        from_day,
        until_day as to_day,
        << moments(fixed | map(attribute='column') | list + covariate_columns) >>
    from (
        select
            *,
            greatest(<< sql.plus_days('exposure_day', [age - 1, 0] | max) >>, start_day) as from_day
        from units
    ) as u
    where
        from_day < until_day
        <%- if age %>
        and << fixed[0].column >> is not null
        <%- endif %>
    group by experiment_id, variant, from_day, until_day
)
<%- endfor %>,

groups as (
    <%- for outcome in growing %>
    << rows_of(outcome.column, outcome.name, 0, 'growing') >>
    union all
    <%- endfor %>
    <%- for age in experiments.ages %>
    <%- for outcome in experiments.outcomes if not outcome.grows and outcome.min_age == age %>
    << rows_of(outcome.column, outcome.name, age, 'fixed_' ~ age) >>
    union all
    <%- endfor %>
    <%- set last_age = loop.last %>
    <%- for name in covariates %>
    << rows_of('x' ~ loop.index, name, age, 'fixed_' ~ age) >>
    <%- if not (last_age and loop.last) %>
    union all
    <%- endif %>
    <%- endfor %>
    <%- endfor %>
),

live as (
    select
        c.day,
        g.*,
        sum(g.units * g.mean) over same_day / sum(g.units) over same_day as all_mean
        <%- for _ in covariates %>,
        sum(g.units * g.mean_<< loop.index >>) over same_day / sum(g.units) over same_day
            as all_mean_<< loop.index >>
        <%- endfor %>
    from groups as g
    inner join {{ ref('calendar') }} as c on g.from_day <= c.day and g.to_day > c.day
    {%- if is_incremental() %}
    where c.day > (select last_day from standing)
    {%- endif %}
    window same_day as (
        partition by g.experiment_id, g.variant, c.day, g.metric, g.min_age
    )
)

select
    experiment_id,
    variant,
    day,
    metric,
    min_age,
    cast(sum(units) as bigint) as units,
    max(all_mean) as mean,
    sum(m2 + units * (mean - all_mean) * (mean - all_mean)) as m2
    <%- for name in covariates %>,
    sum(
        cross_<< loop.index >> + units * (mean - all_mean) * (mean_<< loop.index >> - all_mean_<< loop.index >>)
    ) as cross_<< name >>
    <%- endfor %>
from live
group by experiment_id, variant, day, metric, min_age
