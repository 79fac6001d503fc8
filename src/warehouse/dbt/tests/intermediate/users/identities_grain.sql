-- One row per user_id, version, raw_id and owned_from; and what is owned at any time is one user's.
select user_id, version, raw_id
from {{ ref('identities') }}
group by user_id, version, raw_id, owned_from
having count(*) > 1

union all

select a.user_id, a.version, a.raw_id
from {{ ref('identities') }} as a
inner join {{ ref('identities') }} as b
    on a.raw_id = b.raw_id
    and a.user_id <> b.user_id
    and a.known_from < b.known_until
    and b.known_from < a.known_until
    and a.owned_from < b.owned_until
    and b.owned_from < a.owned_until
