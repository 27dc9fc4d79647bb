"""What the exception of a task that fails tells callbacks and notifiers of its job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.exceptions import FAILED_JOB, FailedJob
from airflow_provider_snowflake_batch.links.job_card import job_page
from airflow_provider_snowflake_batch.links.snowsight import SnowsightJobLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from airflow_provider_snowflake_batch.jobs.card import JobCard

log = logging.getLogger(__name__)


def tell_failure(context: Context, error: BaseException, card: JobCard, query_id: str | None) -> None:
    """Have the exception carry what the card tells. Whatever goes wrong here, the task fails with the same exception.

    :param card: as it stands at the end of the try.
    :param query_id: of the statement that has submitted the job.
    """
    try:
        told = FailedJob(
            job_name=card.job_name,
            status=card.status,
            reason=card.message or type(error).__name__,
            output_location=card.output_location,
            query_id=query_id,
            model=card.model,
            compute_pool=card.compute_pool,
            page=_address(lambda: job_page(context)),
            snowsight=_address(lambda: _snowsight(context)) if card.job_name else None,
            attempt=card.attempt,
        )
        setattr(error, FAILED_JOB, told)
    except Exception:
        log.debug("The exception could not be told of the job", exc_info=True)


def _snowsight(context: Context) -> str:
    ti = context["ti"]
    # The link asks for the try alone, which the task instance tells.
    return SnowsightJobLink().get_link(ti.task, ti_key=ti)  # type: ignore[arg-type]


def _address(find: Callable[[], str]) -> str | None:
    try:
        return find() or None
    except Exception:
        log.debug("An address is not known", exc_info=True)
        return None
