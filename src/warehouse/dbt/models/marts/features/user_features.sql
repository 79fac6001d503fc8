-- Grain: one row per user_id and as_of, for every user with an event before as_of.
with as_of_dates as (
    <%- for date in as_of_dates %>
    <% if not loop.first %>union all <% endif %>select date '<< date >>' as as_of
    <%- endfor %>
),

versions as (
    select distinct user_id, version, known_from, known_until from {{ ref('identities') }}
),

merged as (
    select
        d.user_id,
        a.as_of
        <%- for column in merged %>,
        << column.sql >> as << column.name >>
        <%- endfor %>
    from {{ ref('user_days') }} as d
    inner join as_of_dates as a on d.day < a.as_of
    left join versions as k on d.user_id = k.user_id and d.version = k.version
    where k.user_id is null or (k.known_from < a.as_of and k.known_until >= a.as_of)
    group by d.user_id, a.as_of
)
<%- if attributes %>,

known as (
    select
        u.user_id,
        a.as_of
        <%- for attribute in attributes %>,
        arg_max(
            << attribute.sql >>,
            (u.is_own, u.ordered_by, u.load_id, u.line)
        )<% if not attribute.static %> filter (where u.valid_from < a.as_of)<% endif %> as << attribute.feature >>
        <%- endfor %>
    from {{ ref('owned_attributes') }} as u
    inner join as_of_dates as a on u.known_from < a.as_of and u.known_until >= a.as_of
    group by u.user_id, a.as_of
)
<%- endif %>
<%- if distincts %>,

by_value as (
    select
        d.user_id,
        a.as_of,
        d.feature,
        d.value,
        sum(d.events) as events,
        max(d.day) as last_day
    from {{ ref('user_day_values') }} as d
    inner join as_of_dates as a on d.day < a.as_of
    left join versions as k on d.user_id = k.user_id and d.version = k.version
    where
        (k.user_id is null or (k.known_from < a.as_of and k.known_until >= a.as_of))
        and (
            <%- for distinct in distincts %>
            <% if not loop.first %>or <% endif %>(d.feature = '<< distinct.feature >>' and << distinct.window >>)
            <%- endfor %>
        )
    group by d.user_id, a.as_of, d.feature, d.value
),

different as (
    select
        user_id,
        as_of
        <%- for distinct in distincts %>,
        << 'arg_max(value, (events, last_day, value))' if distinct.most_frequent else 'count(*)' >> filter (where feature = '<< distinct.feature >>') as << distinct.feature >>
        <%- endfor %>
    from by_value
    group by user_id, as_of
)
<%- endif %>
<%- if entities %>,

entity_totals as (
    select
        e.feature,
        e.entity,
        a.as_of,
        sum(e.occurrences) as occurrences,
        sum(e.total) as total
    from {{ ref('entity_days') }} as e
    inner join as_of_dates as a on e.close_day < a.as_of
    group by e.feature, e.entity, a.as_of
),

overall as (
    select
        feature,
        as_of,
        cast(sum(total) as double) / sum(occurrences) as mean
    from entity_totals
    group by feature, as_of
)
<%- for e in entities %>,

entity_<< e.feature >> as (
    select
        t.as_of,
        t.entity,
        <%- if e.outcome or e.amount %>
        (cast(t.total as double) + << e.smoothing >> * o.mean)
        / (t.occurrences + << e.smoothing >>) as value
        <%- else %>
        cast(t.occurrences as double) as value
        <%- endif %>
    from entity_totals as t
    inner join overall as o on t.feature = o.feature and t.as_of = o.as_of
    where t.feature = '<< e.feature >>'
)
<%- if e.outcome or e.amount %>,

overall_<< e.feature >> as (
    select as_of, mean from overall where feature = '<< e.feature >>'
)
<%- endif %>
<%- endfor %>
<%- endif %>,

features as (
    select
        m.user_id,
        m.as_of
        <%- for column in features %>,
        << column.sql >> as << column.name >>
        <%- endfor %>
    from merged as m
    <%- if attributes %>
    left join known as u on m.user_id = u.user_id and m.as_of = u.as_of
    <%- endif %>
    <%- if distincts %>
    left join different as v on m.user_id = v.user_id and m.as_of = v.as_of
    <%- endif %>
    <%- for e in entities %>
    left join entity_<< e.feature >> as e_<< e.feature >>
        on m.as_of = e_<< e.feature >>.as_of and m.entity_of_<< e.feature >> = e_<< e.feature >>.entity
    <%- if e.outcome or e.amount %>
    left join overall_<< e.feature >> as o_<< e.feature >> on m.as_of = o_<< e.feature >>.as_of
    <%- endif %>
    <%- endfor %>
)

select
    f.*,
    coalesce(<< population >>, false) as in_population
from features as f
