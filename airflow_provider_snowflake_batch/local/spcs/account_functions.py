"""Functions about what surrounds services: their DNS domain, maintenance of compute pools, images.

https://docs.snowflake.com/en/sql-reference/functions/system_get_service_dns_domain,
…/system_get_compute_pool_pending_maintenance
"""

from __future__ import annotations

from airflow_provider_snowflake_batch.local.errors import cannot_be_performed, not_supported
from airflow_provider_snowflake_batch.local.functions import Arguments, scalar_function
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs.show_services import dns_domain
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.statements import Statement


@scalar_function("SYSTEM$GET_SERVICE_DNS_DOMAIN")
def get_service_dns_domain(statement: Statement, arguments: Arguments, databases: Databases) -> str:
    """``<hash>.svc.spcs.internal`` of a schema."""
    cursor = Cursor(str(arguments.get(0)))
    parts = cursor.name()
    cursor.end()
    database, schema = parts if len(parts) == 2 else (statement.session.database or "", parts[0])
    if not databases.has_schema(database, schema):
        raise cannot_be_performed()
    return dns_domain(database, schema)


@scalar_function("SYSTEM$GET_COMPUTE_POOL_PENDING_MAINTENANCE")
def get_pending_maintenance(statement: Statement, arguments: Arguments) -> str:
    """Nothing here is ever maintained."""
    return "[]"


@scalar_function("SYSTEM$REGISTRY_LIST_IMAGES")
def registry_list_images(statement: Statement, arguments: Arguments) -> str:
    raise not_supported("SYSTEM$REGISTRY_LIST_IMAGES (images are neither stored nor run)")
