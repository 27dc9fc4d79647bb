select
    customer_id,
    name as customer_name,
    upper(plan) as plan,
    signed_up
from {{ ref('raw_customers') }}
