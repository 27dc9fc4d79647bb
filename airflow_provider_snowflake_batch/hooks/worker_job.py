"""What a job of the worker needs before it is submitted: facts that only the account tells, and files on its stage."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk.configuration import conf

from airflow_provider_snowflake_batch.contract.job_file import to_json
from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks.inputs import look_up_source
from airflow_provider_snowflake_batch.hooks.model_code import find_code, pack_code
from airflow_provider_snowflake_batch.hooks.model_files import find_model_file
from airflow_provider_snowflake_batch.hooks.registered_models import (
    check_registered,
    fetch_registered,
    find_registered,
)
from airflow_provider_snowflake_batch.hooks.unload import check_unload, put_rows
from airflow_provider_snowflake_batch.jobs import statements
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError, error_text, is_transient
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.instance_families import has_gpus
from airflow_provider_snowflake_batch.jobs.leftovers import needs_renewal
from airflow_provider_snowflake_batch.jobs.models import RegistryModel
from airflow_provider_snowflake_batch.jobs.runtime_images import fallback_image, image_in_answer
from airflow_provider_snowflake_batch.jobs.sources import StagePaths
from airflow_provider_snowflake_batch.jobs.worker_job import Placement, Upload, WorkerJob
from airflow_provider_snowflake_batch.jobs.worker_resources import SYSTEM_POOLS, container_size
from airflow_provider_snowflake_batch.jobs.worker_specification import MOST_STAGES, job_file, mounts
from airflow_provider_snowflake_batch.worker.archive import WorkerArchive, build_archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

log = logging.getLogger(__name__)

# So many digits of the digest are in a job file's name.
_DIGITS = 12

CONFIG_SECTION = "snowflake_batch"


def look_up_worker_job(hook: SnowflakeBatchHook, job: WorkerJob, instance_family: str) -> WorkerJob:
    """The job with its source looked up, its image and its size. Nothing is written.

    :param instance_family: of its compute pool.
    :raises JobInputError: naming the first thing that would make the job fail.
    """
    if job.compute_pool.value.startswith(SYSTEM_POOLS):
        raise JobInputError(
            f"compute_pool: {job.compute_pool} is Snowflake's own, for notebooks, model serving and ML jobs only: name "
            "a pool of yours."
        )
    find_code(job.model, job.code_folder)
    find_model_file(job.model, job.code_folder)
    _check_number_of_stages(job)
    try:
        size = container_size(instance_family, job.settings, stages=len(mounts(job)))
    except InvalidJobError as error:
        raise JobInputError(str(error)) from None
    _check_stages(hook, job)
    _check_model(hook, job)
    if isinstance(job.model, RegistryModel):
        job = replace(job, model=check_registered(hook, job.model, job.input))
    job = replace(job, source=look_up_source(hook, job))
    if job.unloads:
        check_unload(hook, job)
    image = _image(hook, job, gpu=has_gpus(instance_family))
    return replace(job, placement=Placement(image, size))


def upload_worker_job(hook: SnowflakeBatchHook, job: WorkerJob, watch: Callable[[], None]) -> WorkerJob:
    """Put on the output stage what the container starts from, and the rows unless it reads them where they lie.

    :param job: as :func:`look_up_worker_job` returns it.
    :param watch: called again and again; an exception of it ends the upload.
    :raises JobInputError: if Snowflake cannot unload the rows.
    """
    archive = _worker_archive()
    code = pack_code(job.model, job.code_folder)
    found = find_model_file(job.model, job.code_folder)
    model = found.packed() if found is not None else None
    rows = put_rows(hook, job, watch) if job.unloads or isinstance(job.source, StagePaths) else None
    present = {file.path for file in hook.list_files(job.worker_folder) if not needs_renewal(file.last_modified)}
    files = {archive.name: archive.content} | {one.name: one.content for one in (*code, model) if one is not None}
    for name, content in files.items():
        # Files are named after their content. One that is there is sent again before it gets old enough for a leftover.
        if (location := job.worker_folder.child(name)).path not in present:
            watch()
            log.info("Uploading %s (%d KiB)", location, len(content) // 1024)
            hook.write_file(location, content)
    model_name = model.name if model is not None else None
    if isinstance(job.model, RegistryModel):
        model_name = _copy_registered(hook, job.model, job.worker_folder, present)
    names = tuple(one.name if one is not None else None for one in code)
    upload = Upload(archive.name, names, model=model_name)
    if rows is not None:
        upload = replace(upload, rows=rows.directory, types=rows.columns)
    content = to_json(job_file(replace(job, upload=upload))).encode()
    upload = replace(upload, job_file=f"JOB-{hashlib.sha256(content).hexdigest()[:_DIGITS]}.json")
    job = replace(job, upload=upload)
    hook.write_file(job.job_file, content)
    return job


def _copy_registered(hook: SnowflakeBatchHook, model: RegistryModel, folder: StagePath, present: set[str]) -> str:
    """Copy a registered model's files to the job's stage, unless they are there.

    :returns: the archive's name.
    """
    found = find_registered(hook, model)
    if folder.child(found.name).path not in present:
        log.info("Copying the %d files of %s to %s", len(found.files), model, folder.child(found.name))
        with tempfile.TemporaryDirectory(prefix="snowflake-batch-") as temporary:
            hook.put_file(folder, fetch_registered(hook, found, Path(temporary)))
    return found.name


@cache
def _worker_archive() -> WorkerArchive:
    return build_archive()


def _image(hook: SnowflakeBatchHook, job: WorkerJob, *, gpu: bool) -> str:
    """The task's image, that of Airflow's configuration, the one that the account tells, or a documented one."""
    pinned = job.settings.image or conf.get(CONFIG_SECTION, "gpu_image" if gpu else "cpu_image", fallback=None)
    return pinned or _image_of_account(hook, job.compute_pool) or _fallback(job.compute_pool, gpu=gpu)


def _image_of_account(hook: SnowflakeBatchHook, pool: Identifier) -> str | None:
    try:
        rows = hook.rows(statements.ml_job_runtime(pool))
    except Exception as error:
        if is_transient(error):
            raise
        log.info("The account does not tell the image of compute pool %s: %s", pool, error_text(error))
        return None
    return image_in_answer([list(row.values()) for row in rows])


def _fallback(pool: Identifier, *, gpu: bool) -> str:
    image = fallback_image(gpu=gpu)
    log.warning(
        "Compute pool %s gets the image %s, which an account need not have: pin one by job_spec.image or by "
        "[%s] %s in Airflow's configuration.",
        pool,
        image,
        CONFIG_SECTION,
        "gpu_image" if gpu else "cpu_image",
    )
    return image


def _check_number_of_stages(job: WorkerJob) -> None:
    mounted = [str(mount.location) for mount in mounts(job)]
    if len(mounted) > MOST_STAGES:
        raise JobInputError(
            f"X: the job would have to mount {len(mounted)} stages, a container takes at most {MOST_STAGES}: "
            f"{', '.join(mounted)}. Score the files in several jobs, or copy them to fewer stages."
        )


def _check_stages(hook: SnowflakeBatchHook, job: WorkerJob) -> None:
    """Only internal stages can be mounted
    (https://docs.snowflake.com/en/developer-guide/snowpark-container-services/snowflake-stage-volume, limitations).
    """
    fields = {
        "output": "output_spec.stage_location",
        "input": "X",
        "stage": "job_spec.stages",
        "code": "model.code",
        "model": "model.path",
    }
    for mount in mounts(job):
        _check_internal(hook, mount.location, fields[mount.volume.partition("-")[0]])


def _check_model(hook: SnowflakeBatchHook, job: WorkerJob) -> None:
    """A model's own file or folder on a stage has to be there."""
    if not job.model.file or not job.model.file.startswith("@"):
        return
    place = StagePath.parse(job.model.file, field="model.path")
    path = place.path.rstrip("/")
    if not any(file.path == path or file.path.startswith(f"{path}/") for file in hook.list_files(place)):
        raise JobInputError(f"model.path: There is no {place}.")


def _check_internal(hook: SnowflakeBatchHook, location: StagePath, field: str) -> None:
    rows = [row for row in hook.rows(statements.show_stages(location.stage)) if row["name"] == location.stage.name]
    if not rows:
        raise JobInputError(
            f"{field}: The stage of {location} does not exist, or this role may not see it. SHOW STAGES IN ACCOUNT "
            "lists the ones that it can see."
        )
    if not str(rows[0]["type"]).upper().startswith("INTERNAL"):
        raise JobInputError(
            f"{field}: {location} is on an external stage, which a container cannot mount. Name an internal one, made "
            "with ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')."
        )
