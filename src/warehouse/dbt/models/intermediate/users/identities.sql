-- Grain: one row per user_id, version, raw_id and owned_from.
-- Who a raw id is, and since when that is known. A user that links reach has one version for each
-- state of those links; version v holds for snapshots with known_from < as_of <= known_until.
-- Of an id that is linked to several people one after the other (a shared device), each has what
-- came from their own link to the next one, and the first also what came before: of its events (and
-- attributes) those of owned_from <= time < owned_until. A later link takes no past away.
-- A version is a small number: it is part of what logs are sorted by, and a third of such a sort
-- depends on its width. (A user's rows here grow by the square of their links.)
-- Ids that no link touches have no row: they are themselves, as version 0, at any time.
with links as (
    select
        anonymous_id,
        user_id,
        linked_at,
        case
            when row_number() over (partition by anonymous_id order by linked_at) = 1
                then timestamp '0001-01-01 00:00:00'
            else linked_at
        end as owned_from,
        coalesce(
            lead(linked_at) over (partition by anonymous_id order by linked_at),
            timestamp '9999-12-31 00:00:00'
        ) as owned_until
    from {{ source('landing', 'aliases') }}
),

changes as (
    select user_id, timestamp '0001-01-01 00:00:00' as known_from from links
    union
    select user_id, linked_at from links
),

versions as (
    select
        user_id,
        cast(row_number() over (partition by user_id order by known_from) - 1 as smallint) as version,
        known_from,
        coalesce(
            lead(known_from) over (partition by user_id order by known_from),
            timestamp '9999-12-31 00:00:00'
        ) as known_until
    from changes
),

members as (
    select
        user_id,
        version,
        known_from,
        known_until,
        user_id as raw_id,
        timestamp '0001-01-01 00:00:00' as owned_from,
        timestamp '9999-12-31 00:00:00' as owned_until
    from versions
    union all
    select
        v.user_id, v.version, v.known_from, v.known_until, l.anonymous_id, l.owned_from, l.owned_until
    from versions as v
    inner join links as l on v.user_id = l.user_id and l.linked_at <= v.known_from
),

before_any_link as (
    select
        anonymous_id as user_id,
        cast(0 as smallint) as version,
        timestamp '0001-01-01 00:00:00' as known_from,
        min(linked_at) as known_until,
        anonymous_id as raw_id,
        timestamp '0001-01-01 00:00:00' as owned_from,
        timestamp '9999-12-31 00:00:00' as owned_until
    from links
    group by anonymous_id
)

select user_id, version, known_from, known_until, raw_id, owned_from, owned_until from members
union all
select user_id, version, known_from, known_until, raw_id, owned_from, owned_until
from before_any_link
