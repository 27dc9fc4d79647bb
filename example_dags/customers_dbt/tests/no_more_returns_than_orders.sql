select customer_id
from {{ ref('customer_features') }}
where returned_share > 1
