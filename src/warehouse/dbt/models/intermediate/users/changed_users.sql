-- Grain: one row per user_id that loads after the last build changed, however late their events.
-- earliest is the first time at which anything of the user may have changed: whatever closed before
-- it stands. A new link changes who a user is, and with it the whole of their past.
with brought as (
    select user_id as raw_id, min(event_time) as earliest
    from {{ source('landing', 'events') }}
    where load_id > {{ changed('built_load', 2147483647) }}
    group by user_id
    union all
    select user_id, min(event_time)
    from {{ source('landing', 'withdrawn') }}
    where load_id > {{ changed('built_load', 2147483647) }}
    group by user_id
    union all
    -- What lay ahead of the clock when the models were built last has come by now.
    select user_id, min(event_time)
    from {{ source('landing', 'events') }}
    where
        {{ changed('built_load', 2147483647) }} < 2147483647
        and load_id <= {{ changed('built_load', 2147483647) }}
        and event_time >= (
            select << sql.plus_days('cast(max(loaded_at) as date)', 1) >>
            from {{ source('landing', 'loads') }}
            where load_id <= {{ changed('built_load', 2147483647) }}
        )
    group by user_id
),

linked as (
    select anonymous_id as raw_id
    from {{ source('landing', 'aliases') }}
    where load_id > {{ changed('built_load', 2147483647) }}
    union
    select user_id
    from {{ source('landing', 'aliases') }}
    where load_id > {{ changed('built_load', 2147483647) }}
),

changes as (
    select raw_id as user_id, earliest from brought
    union all
    select i.user_id, b.earliest
    from brought as b
    inner join {{ ref('identities') }} as i on b.raw_id = i.raw_id
    union all
    select raw_id, timestamp '0001-01-01 00:00:00' from linked
    union all
    select i.user_id, timestamp '0001-01-01 00:00:00'
    from linked as l
    inner join {{ ref('identities') }} as i on l.raw_id = i.raw_id
)

select user_id, min(earliest) as earliest
from changes
group by user_id
