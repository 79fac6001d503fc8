-- Rows accepted by the loads are the rows that stand in the landing tables, kind by kind, or were
-- withdrawn by a load that restated their days.
with standing as (
    select
        'events' as kind,
        count(*) + (select count(*) from {{ source('landing', 'withdrawn') }}) as rows_standing
    from {{ source('landing', 'events') }}
    union all
    select 'users', count(*) from {{ source('landing', 'users') }}
    union all
    select 'aliases', count(*) from {{ source('landing', 'aliases') }}
),

claimed as (
    select
        kind,
        sum(accepted) as rows_claimed,
        sum(accepted + duplicates + quarantined - read) as rows_lost
    from {{ source('landing', 'loads') }}
    group by kind
)

select *
from standing
left join claimed using (kind)
where rows_standing <> coalesce(rows_claimed, 0) or coalesce(rows_lost, 0) <> 0
