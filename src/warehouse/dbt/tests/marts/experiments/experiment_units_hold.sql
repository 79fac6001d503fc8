-- One row per experiment_id and user_id, for everybody known today who was exposed, and nobody else.
select experiment_id, user_id
from {{ ref('experiment_units') }}
group by experiment_id, user_id
having count(*) > 1

union all

select x.experiment_id, x.user_id
from (
    select distinct e.experiment_id, e.user_id
    from {{ ref('user_events') }} as e
    where e.experiment_id is not null
        and e.variant is not null
        and not exists (
            select 1
            from {{ ref('past_versions') }} as p
            where p.user_id = e.user_id and p.version = e.version
        )
) as x
full outer join {{ ref('experiment_units') }} as u
    on x.experiment_id = u.experiment_id and x.user_id = u.user_id
where x.user_id is null
    or u.user_id is null
    or (u.variants > 1) <> u.is_mixed
    or u.is_mixed <> (u.mixed_since is not null)
    or u.mixed_since < u.first_exposure
