{{ config(materialized='view') }}
-- Grain: one row per event, user_id and version of that user's identity (one, without links).
-- Label-only events know the future, so they end here: no feature and no session sees them.
with owned as (
    select
        coalesce(i.user_id, e.user_id) as user_id,
        coalesce(i.version, cast(0 as smallint)) as version,
        e.event_id,
        e.event_time,
        e.event_name,
        e.value,
        e.experiment_id,
        e.variant,
        e.platform,
        e.device,
        e.geo,
        e.properties
    from {{ ref('stg_events') }} as e
    left join {{ ref('identities') }} as i
        on e.user_id = i.raw_id
        and e.event_time >= i.owned_from
        and e.event_time < i.owned_until
    <%- if label_only %>
    where e.event_name not in (<< label_only >>)
    <%- endif %>
)

select
    *
    <%- for gap in gaps %>,
    max(case when << gap.where >> then event_time end) over (
        partition by user_id, version
        order by event_time, event_id
        rows between unbounded preceding and 1 preceding
    ) as << gap.name >>
    <%- endfor %>
from owned
