{{ config(materialized='view') }}
-- Grain: one row per row of the users file and version of the user whose it is.
-- What was told of an id holds for the person it is linked to, from the link on; what was told of
-- the person under their own id goes before it (is_own).
select
    coalesce(i.user_id, u.user_id) as user_id,
    case when i.user_id is null or i.user_id = i.raw_id then 1 else 0 end as is_own,
    coalesce(i.known_from, timestamp '0001-01-01 00:00:00') as known_from,
    coalesce(i.known_until, timestamp '9999-12-31 00:00:00') as known_until,
    u.valid_from,
    coalesce(u.valid_from, timestamp '0001-01-01 00:00:00') as ordered_by,
    u.load_id,
    u.line,
    u.attributes
from {{ source('landing', 'users') }} as u
left join {{ ref('identities') }} as i
    on u.user_id = i.raw_id
    and coalesce(u.valid_from, timestamp '0001-01-01 00:00:00') >= i.owned_from
    and coalesce(u.valid_from, timestamp '0001-01-01 00:00:00') < i.owned_until
