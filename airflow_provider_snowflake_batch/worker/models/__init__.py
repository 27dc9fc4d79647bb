"""How a model is described, loaded and called: one module for each kind of model."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.model_sources import ChatModel, PythonModel, RegistryModel
from airflow_provider_snowflake_batch.worker.content import code_files
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models import tree_libraries
from airflow_provider_snowflake_batch.worker.models.base import Description, LoadedModel


def describe_model(job: Job) -> Description:
    """What is known of the job's model without loading it.

    :raises Refused: the model does not exist, has no such function, or does not take the job's parameters.
    """
    if isinstance(job.model, RegistryModel):
        from airflow_provider_snowflake_batch.worker.models import registry

        return registry.describe(job.model, job.input)
    if isinstance(job.model, ChatModel):
        from airflow_provider_snowflake_batch.worker.models import chat_engine

        return chat_engine.describe(job.model, job.input)
    from airflow_provider_snowflake_batch.worker.models import python

    assert isinstance(job.model, PythonModel)
    return python.describe(job.model)


def model_files(job: Job) -> list[tuple[str, Path]]:
    """Every file that the job's model can read from the places that the job names, each with a name of its own.

    :raises Refused: the model does not exist, cannot be listed, or has links that lead into the output or in a circle.
    """
    try:
        return _model_files(job)
    except OSError as error:
        raise Refused(f"the model's files cannot be listed: {error.filename}: {error.strerror}") from None


def _model_files(job: Job) -> list[tuple[str, Path]]:
    others = [job.input.path, *job.stages.values(), Path(gettempdir())]
    if isinstance(job.model, PythonModel):
        return code_files(job.model.python_path, job.output.path, others)
    from airflow_provider_snowflake_batch.worker.models import registry

    assert isinstance(job.model, RegistryModel | ChatModel)
    return code_files([registry.packed_directory(job.model.path)], job.output.path, others)


def load_model(job: Job) -> LoadedModel:
    """Load the job's model into this process.

    :raises Refused: it does not exist, or does not take the job's parameters.
    :raises Exception: whatever the model's own code raises.
    """
    tree_libraries.install()
    if isinstance(job.model, RegistryModel):
        from airflow_provider_snowflake_batch.worker.models import registry

        return registry.load(job.model, job.input)
    if isinstance(job.model, ChatModel):
        from airflow_provider_snowflake_batch.worker.models import chat_engine

        return chat_engine.load(job.model, job.input)
    from airflow_provider_snowflake_batch.worker.models import python

    assert isinstance(job.model, PythonModel)
    return python.load(job.model, job.input)
