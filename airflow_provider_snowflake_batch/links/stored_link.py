"""A button on a task's page whose address the task itself stores.

A link is known as soon as the job is, and stored under the XCom key that Airflow reads it from: so it works while the
task runs or is deferred, and after it has failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey


class StoredLink(BaseOperatorLink):
    """A link whose address the task itself stores."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """What :meth:`store` stored for this try of the task, or an empty text: Airflow then shows no button.

        Airflow calls it in the task's process at the end of each of its parts, and stores the answer anew.
        """
        known = _stored_here.get((*_try(ti_key), self.xcom_key))
        if known is not None or _is_first_part(ti_key):
            # Asked for here, an XCom that is missing would be an error in Airflow's log.
            return known or ""
        from airflow.providers.common.compat.sdk import XCom

        stored = XCom.get_value(ti_key=ti_key, key=self.xcom_key)
        return stored if isinstance(stored, str) else ""

    def store(self, context: Context, url: str) -> None:
        """Make the link work from now on.

        :param url: must hold no secret: whoever may see the task may see it.
        """
        context["ti"].xcom_push(key=self.xcom_key, value=url)
        _stored_here[(*_try(context["ti"]), self.xcom_key)] = url


# Addresses that this process has stored, by the try and the XCom's key.
_stored_here: dict[tuple[Any, ...], str] = {}


def _try(ti: Any) -> tuple[Any, ...]:
    return tuple(getattr(ti, name, None) for name in ("dag_id", "run_id", "task_id", "map_index", "try_number"))


def _is_first_part(ti: Any) -> bool:
    """Whether this process has begun the try, which begins without XComs. Only a task's own process can tell."""
    begun = getattr(ti, "_ti_context_from_server", None)
    return begun is not None and getattr(begun, "next_method", None) is None
