"""An auth manager as an organisation may have one: some users may read some Dags."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

CLERK = "clerk"
DAGS_OF_THE_CLERK = {"scores"}


class PerDagAuthManager(SimpleAuthManager):
    """Airflow's own, but the user ``clerk`` may read nothing of Dags other than these."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **given: Any) -> bool:
        if user.get_id() == CLERK and details is not None and details.id not in {None, *DAGS_OF_THE_CLERK}:
            return False
        return super().is_authorized_dag(user=user, details=details, **given)
