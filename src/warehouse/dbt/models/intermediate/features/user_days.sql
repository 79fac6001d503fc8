{{ config(
    materialized='delete_insert',
    meta={'day_of': 'day'},
    pre_hook="{% if is_incremental() %}delete from {{ this }} using {{ ref('changed_users') }} as t where {{ this }}.user_id = t.user_id and {{ this }}.day >= cast(t.earliest as date){% endif %}"
) }}
-- depends_on: {{ ref('changed_users') }}, {{ ref('changed_events') }}
-- Grain: one row per user_id, version and UTC day.
-- Partial aggregates that add up over days: events on their own day, sessions on the day they
-- close, so that a session still open at as_of is in no snapshot of that date. A later build
-- rebuilds the days of changed users from their earliest change on. is_current: whether no later link has
-- ended the version; a link touches all days of those it links, so that this stays true.
with event_days as (
    select
        user_id,
        version,
        cast(event_time as date) as day
        <%- for column in event_states %>,
        << column.sql >> as << column.name >>
        <%- endfor %>
    {%- if is_incremental() %}
    from {{ ref('changed_events') }}
    where event_time >= date_trunc('day', earliest) and event_time >= cast(date '0001-01-01' + {{ changed('since_days', 0) }} as timestamp)
    {%- else %}
    from {{ ref('user_events') }}
    {%- endif %}
    group by user_id, version, cast(event_time as date)
),

session_days as (
    select
        user_id,
        version,
        close_day as day
        <%- for column in session_states %>,
        << column.sql >> as << column.name >>
        <%- endfor %>
    from {{ ref('sessions') }}
    {%- if is_incremental() %} as s
    inner join {{ ref('changed_users') }} as t using (user_id)
    where s.close_day >= cast(t.earliest as date)
    {%- endif %}
    group by user_id, version, close_day
)

select
    coalesce(e.user_id, s.user_id) as user_id,
    coalesce(e.version, s.version) as version,
    coalesce(e.day, s.day) as day,
    p.user_id is null as is_current
    <%- for column in event_states %>,
    <% if column.empty == 'null' %>e.<< column.name >><% else %>coalesce(e.<< column.name >>, << column.empty >>) as << column.name >><% endif %>
    <%- endfor %>
    <%- for column in session_states %>,
    <% if column.empty == 'null' %>s.<< column.name >><% else %>coalesce(s.<< column.name >>, << column.empty >>) as << column.name >><% endif %>
    <%- endfor %>
from event_days as e
full outer join session_days as s
    on e.user_id = s.user_id and e.version = s.version and e.day = s.day
left join {{ ref('past_versions') }} as p
    on coalesce(e.user_id, s.user_id) = p.user_id and coalesce(e.version, s.version) = p.version
