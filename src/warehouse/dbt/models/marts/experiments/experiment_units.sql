<%- set oldest = experiments.outcomes | rejectattr('grows') | sort(attribute='min_age') | list %>
{{ config(
    materialized='delete_insert',
    pre_hook="{% if is_incremental() %}
    delete from {{ this }}
    where
        user_id in (select user_id from {{ ref('changed_users') }})
        <%- if experiments.strata %>
        or user_id in (select user_id from {{ ref('changed_attributes') }})
        <%- endif %>
        <%- if oldest %>
        or << sql.name(oldest[-1].name) | replace('"', '\\"') >> is null
        or << sql.plus_days('cast(first_exposure as date)', oldest[-1].min_age - 1) >>
        > (select max(day) from {{ ref('calendar') }})
        <%- endif %>
    {% endif %}"
) }}
-- depends_on: {{ ref('changed_users') }}<% if experiments.strata %>, {{ ref('changed_attributes') }}<% endif %>
-- Grain: one row per experiment_id and user_id: a unit of the experiment.
-- Day 0 is the UTC day of the first exposure, of which outcomes know what came from the exposure on;
-- covariates know whole days before it. A later build rebuilds the units that loads changed, or gave
-- attributes to, and those that were too young for some metric when the last build looked.
<%- macro of_kind(outcome, total) -%>
<%- if outcome.kind == 'count' -%>cast(<< total >> as bigint)
<%- elif outcome.kind == 'sum' -%>cast(<< total >> as decimal(38, 6))
<%- else -%>case when << total >> > 0 then 1 else 0 end
<%- endif -%>
<%- endmacro %>
with exposed as (
    select x.*
    from {{ ref('first_exposures') }} as x
    {%- if is_incremental() %}
    where
        not exists (
            select 1
            from {{ this }} as u
            where u.experiment_id = x.experiment_id and u.user_id = x.user_id
        )
    {%- endif %}
),

unit_days as (
    select
        x.experiment_id,
        x.user_id,
        << sql.days_between('x.exposure_day', 'd.day') >> as day_number,
        d.all_events
        <%- for column, _ in experiments.day_states if column != 'all_events' %>,
        d.<< column >>
        <%- endfor %>
    from exposed as x
    inner join {{ ref('people_days') }} as d
        on x.user_id = d.user_id
        and d.day >= << sql.plus_days('x.exposure_day', -experiments.pre_days) >>
        and d.day < << sql.plus_days('x.exposure_day', experiments.days) >>
    where d.day <> x.exposure_day
),

totals as (
    select
        experiment_id,
        user_id
        <%- for outcome in experiments.outcomes %>,
        sum(<< outcome.state >>) filter (
            where day_number >= << outcome.first_day >> and day_number < << outcome.days >>
        ) as a_<< outcome.name >>,
        sum(<< outcome.state >>) filter (where day_number < 0) as b_<< outcome.name >>
        <%- endfor %>,
        count(*) filter (where day_number < 0 and all_events > 0) as active_before
    from unit_days
    group by experiment_id, user_id
),

units as (
    select
        x.experiment_id,
        x.user_id,
        x.variant,
        x.first_seen,
        x.variants,
        x.mixed_since,
        << sql.days_between('x.exposure_day', 'l.day') >> + 1 as age
        <%- for outcome in experiments.outcomes %>,
        coalesce(t.a_<< outcome.name >>, 0)<< ' + x.' ~ outcome.state if outcome.first_day == 0 >>
            as a_<< outcome.name >>,
        coalesce(t.b_<< outcome.name >>, 0) as b_<< outcome.name >>
        <%- endfor %>,
        coalesce(t.active_before, 0) as active_before
    from exposed as x
    left join totals as t on x.experiment_id = t.experiment_id and x.user_id = t.user_id
    cross join {{ ref('calendar') }} as l
    where l.is_last
)

select
    u.experiment_id,
    u.user_id,
    u.variant,
    u.first_seen as first_exposure,
    cast(u.variants as bigint) as variants,
    u.variants > 1 as is_mixed,
    u.mixed_since
    <%- for name in experiments.strata %>,
    s.<< sql.name(name) >>
    <%- endfor %>
    <%- for outcome in experiments.outcomes %>,
    <%- if outcome.grows %>
    << of_kind(outcome, 'u.a_' ~ outcome.name) >> as << sql.name(outcome.name) >>
    <%- else %>
    case when u.age >= << outcome.min_age >> then << of_kind(outcome, 'u.a_' ~ outcome.name) >> end
        as << sql.name(outcome.name) >>
    <%- endif %>
    <%- endfor %>
    <%- for outcome in experiments.outcomes %>,
    << of_kind(outcome, 'u.b_' ~ outcome.name) >> as << outcome.covariate >>
    <%- endfor %>,
    cast(u.active_before as bigint) as pre_active_days
from units as u
<%- if experiments.strata %>
left join {{ ref('user_attributes') }} as s on u.user_id = s.user_id
<%- endif %>
