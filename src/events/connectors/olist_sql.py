"""Olist's orders as events, in SQL: which fact becomes known when.

The statements read the staged files (temporary tables named staged_…, one per file) and make two
tables, events and users. Every one is a whole answer to one question, so that the rules about
time that the module olist explains can be read one at a time.
"""

from __future__ import annotations

CANCELLATION_KNOWN_AFTER_DAYS = 30
"""Days from an order's last stamp or promise until its cancellation counts as known."""

# One row per row of the orders file, with its person. An id listed twice among the customers is
# settled by name, so that it cannot multiply orders. Zip prefixes have five digits; some copies of
# the file have lost the leading zeros.
_ORDERS = """
create or replace temp table staged_dated as
with people as (
    select
        customer_id,
        min((
            customer_unique_id, customer_state, customer_city, customer_zip_code_prefix
        )) as person
    from staged_customers
    group by customer_id
)
select
    o.order_id,
    p.person[1] as user_id,
    p.person[2] as state,
    p.person[3] as city,
    case
        when length(p.person[4]) < 5 then lpad(p.person[4], 5, '0') else p.person[4]
    end as zip_prefix,
    o.order_status as status,
    o.order_purchase_timestamp as purchased,
    o.order_approved_at as approved,
    o.order_delivered_carrier_date as shipped,
    o.order_delivered_customer_date as delivered,
    o.order_estimated_delivery_date as promised
from staged_orders as o
left join people as p on o.customer_id = p.customer_id
"""

# A payment of no type and no amount marks an order that was never paid: it is not a payment.
_PAYMENTS = """
create or replace temp table staged_paid as
with typed as (
    select
        order_id,
        payment_type,
        sum(payment_value) as paid,
        max(payment_installments) as instalments
    from staged_payments
    where not (payment_type = 'not_defined' and payment_value = 0)
    group by order_id, payment_type
)
select
    order_id,
    cast(sum(paid) as double) as paid,
    max(instalments) as instalments,
    arg_min(payment_type, (-paid, payment_type)) as payment_type
from typed
group by order_id
"""

# An order of several items is described by its dearest one; of equal ones, by the first.
_CONTENTS = """
create or replace temp table staged_contents as
with named as (
    select
        p.product_id,
        min(coalesce(t.product_category_name_english, p.product_category_name)) as category
    from staged_products as p
    left join staged_translation as t on p.product_category_name = t.product_category_name
    group by p.product_id
),

placed as (
    select seller_id, min(seller_state) as seller_state from staged_sellers group by seller_id
),

filled as (
    select
        order_id,
        count(*) as items,
        max(price) as price,
        cast(sum(freight_value) as double)
            / nullif(cast(sum(price) + sum(freight_value) as double), 0) as freight_share,
        arg_min((product_id, seller_id), (-price, order_item_id)) as main
    from staged_items
    group by order_id
)

select
    f.order_id,
    f.items,
    f.price,
    f.freight_share,
    f.main[1] as product_id,
    f.main[2] as seller_id,
    n.category,
    s.seller_state
from filled as f
left join named as n on f.main[1] = n.product_id
left join placed as s on f.main[2] = s.seller_id
"""

_PURCHASED = """
select
    o.order_id || ':order_purchased',
    o.user_id,
    o.purchased,
    'order_purchased',
    p.paid,
    o.state,
    json_object(
        'order_id', o.order_id,
        'payment_type', p.payment_type,
        'instalments', p.instalments,
        'city', o.city,
        'estimated_delivery', cast(cast(o.promised as date) as varchar)
    )
from staged_dated as o
left join staged_paid as p on o.order_id = p.order_id
"""

_APPROVED = """
select
    order_id || ':order_approved',
    user_id,
    greatest(approved, purchased),
    'order_approved',
    null,
    state,
    json_object('order_id', order_id)
from staged_dated
where approved is not null
"""

_SHIPPED = """
select
    o.order_id || ':order_shipped',
    o.user_id,
    greatest(o.shipped, o.purchased),
    'order_shipped',
    null,
    o.state,
    json_object(
        'order_id', o.order_id,
        'category', c.category,
        'product_id', c.product_id,
        'seller_id', c.seller_id,
        'seller_state', c.seller_state,
        'items', c.items,
        'price', c.price,
        'freight_share', round(c.freight_share, 6)
    )
from staged_dated as o
left join staged_contents as c on o.order_id = c.order_id
where o.shipped is not null
"""

_DELIVERED = """
select
    order_id || ':order_delivered',
    user_id,
    greatest(delivered, shipped, purchased),
    'order_delivered',
    null,
    state,
    json_object(
        'order_id', order_id,
        'delivery_days', round(date_diff('second', purchased, delivered) / 86400.0, 4),
        'late_days', date_diff('day', promised, delivered)
    )
from staged_dated
where delivered is not null
"""

_CANCELLED = f"""
select
    order_id || ':order_cancelled',
    user_id,
    greatest(promised, delivered, shipped, approved, purchased)
        + interval '{CANCELLATION_KNOWN_AFTER_DAYS}' day,
    'order_cancelled',
    null,
    state,
    json_object('order_id', order_id, 'status', status)
from staged_dated
where status in ('canceled', 'unavailable')
"""

_KEPT = """
select o.order_id || ':order_kept', o.user_id, o.purchased, 'order_kept', p.paid, null, null
from staged_dated as o
left join staged_paid as p on o.order_id = p.order_id
where o.status not in ('canceled', 'unavailable')
"""

_REVIEWED = """
select
    o.order_id || ':review:' || r.review_id,
    o.user_id,
    greatest(r.review_answer_timestamp, o.purchased),
    'review',
    cast(r.review_score as double),
    o.state,
    json_object('order_id', o.order_id)
from staged_reviews as r
inner join staged_dated as o on r.order_id = o.order_id
where r.review_answer_timestamp is not null
"""

_COLUMNS = "event_id, user_id, event_time, event_name, value, geo, properties"
_KINDS = (_PURCHASED, _APPROVED, _SHIPPED, _DELIVERED, _CANCELLED, _KEPT, _REVIEWED)
_EVENTS = f"""
create or replace temp table olist_events as
with e ({_COLUMNS}) as ({" union all ".join(_KINDS)})
select
    event_id,
    user_id,
    cast(event_time as timestamp) as event_time,
    event_name,
    cast(value as double) as value,
    geo,
    cast(properties as varchar) as properties
from e
"""

# What is known of a person from the first order on stays as it was then.
_USERS = """
create or replace temp table olist_users as
with first_order as (
    select user_id, arg_min((state, city, zip_prefix, purchased), (purchased, order_id)) as f
    from staged_dated
    where user_id is not null and purchased is not null
    group by user_id
)
select
    user_id,
    f[4] as valid_from,
    'BR' as country,
    f[1] as state,
    f[2] as city,
    f[3] as zip_prefix
from first_order
"""

STEPS = {
    "staged_dated": _ORDERS,
    "staged_paid": _PAYMENTS,
    "staged_contents": _CONTENTS,
    "olist_events": _EVENTS,
    "olist_users": _USERS,
}
"""The statements in order, by the table that each makes; they read the staged files."""
