"""Where Snowflake's web interface shows an object.

Site: https://docs.snowflake.com/en/user-guide/ui-snowsight-gs (``https://app.snowflake.com/<organization>/<account>``).
Paths: ``#/compute/job/`` is what ``snowflake-ml-python`` links to; ``#/data/databases/`` is Snowsight's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName

_SITES = {".snowflakecomputing.com": "https://app.snowflake.com", ".snowflakecomputing.cn": "https://app.snowflake.cn"}


def site_of(host: str) -> str | None:
    """The web interface of the account that a driver talks to; None for any host that is not Snowflake's."""
    return next((site for ending, site in _SITES.items() if host.lower().endswith(ending)), None)


@dataclass(frozen=True, slots=True)
class Snowsight:
    """The pages of one account.

    :param site: see :func:`site_of`.
    :param organization: as ``CURRENT_ORGANIZATION_NAME()`` returns it.
    :param account: as ``CURRENT_ACCOUNT_NAME()`` returns it.
    """

    site: str
    organization: str
    account: str

    def job(self, name: QualifiedName) -> str:
        """The page of a job service.

        :param name: fully qualified, like all names here.
        """
        return self._page("compute", "job", name.database, name.schema, name.name)

    def stage(self, name: QualifiedName) -> str:
        """The page of a stage; Snowsight has no address for a directory in it."""
        return self._page("data", "databases", name.database, "schemas", name.schema, "stage", name.name)

    def table(self, name: QualifiedName) -> str:
        """The page of a table."""
        return self._page("data", "databases", name.database, "schemas", name.schema, "table", name.name)

    def _page(self, *parts: str | None) -> str:
        account = f"{quote(self.organization.lower(), safe='')}/{quote(self.account.lower(), safe='')}"
        return f"{self.site}/{account}/#/{'/'.join(quote(part or '', safe='') for part in parts)}"
