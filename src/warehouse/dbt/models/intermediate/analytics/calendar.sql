-- Grain: one row per UTC day from the first event's to the last one's, without holes.
with log as (
    select
        min(day) as first_day,
        max(day) as last_day
    from {{ ref('cohort_days') }}
),

days as (
    select
        << sql.plus_days('log.first_day', 'cast(digits.number as integer)') >> as day,
        log.last_day
    from log
    cross join (
        select
            <% for i in range(digits) %><< '+ ' if i else '' >>d<< i >>.n * << 10 ** i >> <% endfor %>as number
        from (select n from << sql.numbers(10) >>) as d0
        <%- for i in range(1, digits) %>
        cross join (select n from << sql.numbers(10) >>) as d<< i >>
        <%- endfor %>
    ) as digits
)

select
    day,
    day = last_day as is_last
from days
where day <= last_day
