-- Two sessions of one user are always more than the gap apart, and none ends before it starts.
select *
from (
    select
        session_start,
        session_end,
        lag(session_end) over (partition by user_id, version order by session_start) as before
    from {{ ref('sessions') }}
) as in_order
where session_end < session_start
    or session_start - before <= interval '<< gap_seconds >>' second
