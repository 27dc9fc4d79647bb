{{ config(materialized='incremental', unique_key='order_id', on_schema_change='append_new_columns') }}

-- Each run adds the orders since the last one; an order that has changed replaces its row.
select
    order_id,
    customer_id,
    ordered_at,
    status,
    amount
from {{ ref('stg_orders') }}
{% if is_incremental() %}
where ordered_at >= (select coalesce(max(ordered_at), '1900-01-01'::timestamp_ntz) from {{ this }})
{% endif %}
