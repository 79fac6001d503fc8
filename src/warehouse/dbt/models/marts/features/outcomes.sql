{{ config(
    materialized='delete_insert',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where {{ this }}.event_time >= cast(date '0001-01-01' + {{ changed('since_days', 0) }} as timestamp){% endif %}"
) }}
-- Grain: one row per user_id and outcome: a time at which the target was reached.
-- Outcomes are for labels only. They look at links known today, so that someone ranked while
-- still anonymous counts as converted when the person behind converts.
with people as (
    select raw_id, user_id, owned_from, owned_until
    from {{ ref('identities') }}
    where known_until = timestamp '9999-12-31 00:00:00'
),

reached as (
    select
        coalesce(p.user_id, e.user_id) as person,
        e.event_id,
        e.event_name,
        e.event_time,
        e.value
    from {{ ref('stg_events') }} as e
    left join people as p
        on e.user_id = p.raw_id
        and e.event_time >= p.owned_from
        and e.event_time < p.owned_until
    where e.event_name in (<< target_events >>)
),

outcome as (
    <%- if target_require == 'all' %>
    select
        person,
        max(first_time) as event_time,
        cast(null as double) as value
    from (
        select person, event_name, min(event_time) as first_time
        from reached
        group by person, event_name
    ) as first_times
    group by person
    having count(*) = << target_count >>
    <%- else %>
    select person, event_time, value from reached
    <%- endif %>
),

new as (
    select person, event_time, value
    from outcome
    {%- if is_incremental() %}
    where event_time >= cast(date '0001-01-01' + {{ changed('since_days', 0) }} as timestamp)
    {%- endif %}
)

select person as user_id, event_time, value from new
union all
select p.raw_id as user_id, o.event_time, o.value
from new as o
inner join people as p on o.person = p.user_id
-- Before its first link an id is whoever that link names, not those who had the device later.
where p.raw_id <> o.person and p.owned_from = timestamp '0001-01-01 00:00:00'
