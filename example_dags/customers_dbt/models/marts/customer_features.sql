{{ config(cluster_by=['customer_id']) }}

select
    customers.customer_id,
    coalesce(orders.orders, 0)::number(10, 0) as orders,
    coalesce(orders.spent, 0)::float as spent,
    coalesce(orders.returned_orders / nullif(orders.orders, 0), 0)::float as returned_share,
    datediff('day', customers.signed_up, '2025-12-01'::date)::number(10, 0) as days_since_sign_up,
    iff(customers.plan = 'PRO', 1, 0)::number(1, 0) as is_pro
from {{ ref('stg_customers') }} as customers
left join {{ ref('orders_of_customer') }} as orders using (customer_id)
