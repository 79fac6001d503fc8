{{ config(materialized='view') }}
-- Grain: one row per user_id whose attributes loads after the last build may have changed: by a row
-- of the users file, or by a link.
with ids as (
    select user_id as raw_id
    from {{ source('landing', 'users') }}
    where load_id > {{ changed('built_load', 2147483647) }}
    union
    select anonymous_id
    from {{ source('landing', 'aliases') }}
    where load_id > {{ changed('built_load', 2147483647) }}
)

select raw_id as user_id from ids
union
select i.user_id
from ids
inner join {{ ref('identities') }} as i on ids.raw_id = i.raw_id
