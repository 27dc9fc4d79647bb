{{ config(materialized='ephemeral') }}

select
    customer_id,
    count(*) as orders,
    count_if(status = 'returned') as returned_orders,
    sum(amount) as spent,
    max(ordered_at) as last_ordered_at
from {{ ref('order_log') }}
group by customer_id
