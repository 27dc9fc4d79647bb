"""How a model is described, loaded and called: one module for each kind of model, named after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.input.content import code_files
from airflow_provider_snowflake_batch.worker.model_kinds import find_kind
from airflow_provider_snowflake_batch.worker.models import bytecode, tree_libraries
from airflow_provider_snowflake_batch.worker.models.base import Description, LoadedModel


def prepare_model(job: Job, folder: Path) -> Job:
    """The job with its model as it can be used.

    :param folder: for temporary files; whoever owns it removes it.
    :raises Refused: the model cannot be had.
    """
    return replace(job, model=find_kind(job.model.KIND).prepare(job.model, folder))


def describe_model(job: Job) -> Description:
    """What is known of the job's model without loading it.

    :raises Refused: the model does not exist, has no such function, or does not take the job's parameters.
    """
    return find_kind(job.model.KIND).describe(job.model, job.input)


def model_files(job: Job) -> list[tuple[str, Path]]:
    """Every file that the job's model can read from the places that the job names, each with a name of its own.

    :raises Refused: the model does not exist, cannot be listed, or has links that lead into the output or in a circle.
    """
    others = [job.input.path, *job.stages.values(), Path(gettempdir())]
    try:
        return code_files(find_kind(job.model.KIND).folders(job.model), job.output.path, others)
    except OSError as error:
        raise Refused(f"the model's files cannot be listed: {error.filename}: {error.strerror}") from None


def load_model(job: Job) -> LoadedModel:
    """Load the job's model into this process.

    :raises Refused: it does not exist, or does not take the job's parameters.
    :raises Exception: whatever the model's own code raises.
    """
    tree_libraries.install()
    kind = find_kind(job.model.KIND)
    bytecode.compare_by_content(kind.folders(job.model))
    return kind.load(job.model, job.input)
