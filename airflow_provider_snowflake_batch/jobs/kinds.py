"""Which kind of job a task's fields describe."""

from __future__ import annotations

from typing import Any

from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
from airflow_provider_snowflake_batch.jobs.job import RegistryJob
from airflow_provider_snowflake_batch.jobs.runtimes import choose_runtime, refuse_registry_arguments


def parse_job(
    *,
    name: str,
    model: Any = None,
    model_name: str | None = None,
    version_name: str | None = None,
    function_name: str | None = None,
    inference_engine_options: Any = None,
    code_folder: str | None = None,
    **given: Any,
) -> BatchJob:
    """The job that a task's fields describe: a registered model's, or one of the worker.

    :param name: the job.
    :param model: of the worker runtime; see :func:`~airflow_provider_snowflake_batch.jobs.models.parse_model`.
    :param model_name: of the registry runtime, as are the three arguments that follow.
    :param code_folder: where relative paths of the model's code begin.
    :param given: ``X``, ``compute_pool``, ``output_spec``, ``input_spec`` and ``job_spec``.
    :raises InvalidJobError: on the first value that is wrong, or that belongs to the other runtime.
    """
    of_the_registry = {
        "version_name": version_name,
        "function_name": function_name,
        "inference_engine_options": inference_engine_options,
    }
    if choose_runtime(model, model_name):
        # Imported here, so that parsing a Dag does not load it.
        from airflow_provider_snowflake_batch.jobs.worker_job import WorkerJob

        refuse_registry_arguments(of_the_registry)
        return WorkerJob.parse(name=name, model=model, code_folder=code_folder, **given)
    assert model_name is not None
    return RegistryJob.parse(name=name, model_name=model_name, **of_the_registry, **given)


def keeps_input(model: Any) -> bool:
    """Whether a job that fails leaves what it was given for the task's next try, as jobs do that can resume.

    :param model: the task's field. It alone tells, since templates in other fields may give other values by then.
    """
    return model is not None
