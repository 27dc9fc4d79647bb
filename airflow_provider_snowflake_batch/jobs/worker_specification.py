"""The service specification and the job file of a worker's job.

Every key of the specification is one of
https://docs.snowflake.com/en/developer-guide/snowpark-container-services/specification-reference; the server refuses
others. Stage volumes: https://docs.snowflake.com/en/developer-guide/snowpark-container-services/snowflake-stage-volume
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.contract import cluster
from airflow_provider_snowflake_batch.contract import job_file as job_files
from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding, OnError, Sharing
from airflow_provider_snowflake_batch.jobs.container_settings import DEFAULT_SECRET_KEY
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.models import ModelSpec
from airflow_provider_snowflake_batch.jobs.sources import StageListing, StagePaths
from airflow_provider_snowflake_batch.jobs.worker_job import WORKER_FOLDER, WorkerJob

CONTAINER = "main"
MOST_STAGES = 20
"""The most stages that a container can mount (…/snowflake-stage-volume, limitations)."""
_ROOT = "/mnt/batch"
_OUTPUT = "BATCH_OUTPUT"
_INPUT = "BATCH_INPUT"
_MODEL = "BATCH_MODEL"
_TEMPORARY = f"{_ROOT}/tmp"
# A container beside ours serves a mounted stage. With its default limits (0.5 CPU, 1 GiB), heavy reading and writing is
# slow or fails (…/snowflake-stage-volume, stageConfig.resources). The requested memory is the default.
_STAGE_RESOURCES = {"requests": {"cpu": 0, "memory": "512Mi"}, "limits": {"cpu": 2, "memory": "2Gi"}}
_ARCHIVES = (".zip", ".whl")
_CODE_FILES = (*_ARCHIVES, ".py")


@dataclass(frozen=True, slots=True)
class Mount:
    """A stage location that the container sees as a folder.

    :param volume: the volume's name.
    :param path: the folder.
    :param variable: the environment variable that holds the folder; the job file's paths begin with it.
    """

    volume: str
    location: StagePath
    path: str
    variable: str


def mounts(job: WorkerJob) -> list[Mount]:
    """Every stage location that the container reads or writes: the output first, each stage of files once."""
    found = [Mount("output", job.output.location, f"{_ROOT}/output", _OUTPUT)]
    if job.reads_in_place:
        found.append(Mount("input", job.source.location, f"{_ROOT}/input", _INPUT))  # type: ignore[union-attr]
    for number, stage in enumerate(file_stages(job)):
        found.append(Mount(f"stage-{number}", StagePath(stage), f"{_ROOT}/stages/{number}", f"BATCH_STAGE_{number}"))
    for number, place in enumerate(job.model.code_places):
        if place.startswith("@"):
            folder = _folder_and_file(place, "model.code", _CODE_FILES)[0]
            found.append(Mount(f"code-{number}", folder, f"{_ROOT}/code/{number}", f"BATCH_CODE_{number}"))
    if job.model.file and job.model.file.startswith("@"):
        found.append(Mount("model", _model_place(job.model.file, job.model)[0], f"{_ROOT}/model", _MODEL))
    return found


def file_stages(job: WorkerJob) -> list[QualifiedName]:
    """The stages of the files that rows name."""
    named = [StagePath.parse(stage, field="job_spec.stages").stage for stage in job.settings.stages or ()]
    match job.source:
        case StagePaths(paths):
            named += [path.stage for path in paths]
        case StageListing(location):
            named.append(location.stage)
    return sorted(set(named), key=str)


def specification(job: WorkerJob) -> dict[str, Any]:
    """The specification of one container, and the volumes that it mounts.

    :param job: with its placement and upload.
    """
    assert job.placement is not None
    assert job.upload is not None
    stages = mounts(job)
    size = job.placement.size
    root = stages[0].path
    endpoints = _endpoints(job)
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": job.placement.image,
        # Instead of the image's own entrypoint, which starts a Ray node and a notebook kernel.
        "command": [
            "python",
            f"{root}/{WORKER_FOLDER}/{job.upload.archive}",
            f"{root}/{job.job_file.path.removeprefix(job.output.location.directory().path)}",
        ],
        "env": {mount.variable: mount.path for mount in stages} | {"TMPDIR": _TEMPORARY} | dict(job.settings.env or {}),
        "volumeMounts": [
            *({"name": mount.volume, "mountPath": mount.path} for mount in stages),
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "tmp", "mountPath": _TEMPORARY},
        ],
    }
    if size.resources:
        container["resources"] = size.resources
    if job.settings.secrets:
        container["secrets"] = [_secret(name, given) for name, given in job.settings.secrets.items()]
    volumes = [
        *(
            {
                "name": mount.volume,
                "source": "stage",
                "stageConfig": {"name": _without_slash(mount.location), "resources": _STAGE_RESOURCES},
            }
            for mount in stages
        ),
        {"name": "shm", "source": "memory", "size": size.shared_memory},
        _temporary_volume(job),
    ]
    return {
        "spec": {
            "containers": [container],
            "volumes": volumes,
            **({"endpoints": endpoints} if endpoints else {}),
            # …/monitoring-services: what the containers write, and what they use, is in the account's event table.
            "logExporters": {"eventTableConfig": {"logLevel": "INFO"}},
            "platformMonitor": {"metricConfig": {"groups": ["system", "status", "network", "storage"]}},
        }
    }


def _temporary_volume(job: WorkerJob) -> dict[str, Any]:
    """The node's own disk, about 100 GB, or one that the task asks for.

    https://docs.snowflake.com/en/developer-guide/snowpark-container-services/block-storage-volume: of a job's volume no
    snapshot is kept unless that is asked for.
    """
    asked = job.settings.block_volume
    if asked is None:
        return {"name": "tmp", "source": "local"}
    config = {name: asked[name] for name in ("iops", "throughput") if name in asked}
    volume: dict[str, Any] = {"name": "tmp", "source": "block", "size": asked["size"]}
    return volume | ({"blockConfig": config} if config else {})


def _endpoints(job: WorkerJob) -> list[dict[str, Any]]:
    """The ports at which replicas reach each other: only declared ports are open between containers.

    A range of ports can be reached by the address of a container only, which is how replicas call each other:
    https://docs.snowflake.com/en/developer-guide/snowpark-container-services/service-network-communications
    """
    if (job.settings.replicas or 1) == 1 or job.settings.executor is Sharing.STATIC:
        return []
    stated = (job.settings.env or {}).get(cluster.PORTS_VARIABLE)
    ports = cluster.parse_ports(stated) if stated is not None else cluster.DEFAULT_PORTS
    return [{"name": "replicas", "portRange": cluster.format_ports(ports), "protocol": "TCP"}]


def job_file(job: WorkerJob) -> job_files.Job:
    """What the worker is to do, docs/worker.md. Its paths begin with variables that :func:`specification` sets.

    :param job: with its upload.
    """
    assert job.upload is not None
    settings, given = job.settings, job.input
    rows = job.upload.rows
    stages = {
        str(mount.location.stage): Path(f"${{{mount.variable}}}")
        for mount in mounts(job)
        if mount.volume.startswith("stage-")
    }
    return job_files.Job(
        name=str(job.name),
        input=job_files.JobInput(
            Path(_in_output(job, rows) if rows is not None else f"${{{_INPUT}}}"),
            params=given.to_dict().get("params", {}),
            column_handling={
                column: FileEncoding(options["convert_to"]) for column, options in (given.column_handling or {}).items()
            },
            partition_column=given.partition_column,
            types=dict(job.upload.types),
        ),
        output=job_files.JobOutput(
            Path(_in_output(job, job.output_directory)),
            job.output.mode,
            tuple(job.output.columns) if job.output.columns is not None else None,
        ),
        model=job.model.source(tuple(map(Path, _python_path(job))), _model_file(job)),
        num_workers=settings.num_workers,
        max_batch_rows=settings.max_batch_rows,
        on_error=settings.on_error or OnError.FAIL,
        max_quarantined=settings.max_quarantined or job_files.MOST_QUARANTINED,
        executor=settings.executor,
        min_replicas=settings.min_replicas,
        max_task_rows=settings.max_task_rows,
        stages=stages,
    )


def _python_path(job: WorkerJob) -> list[str]:
    assert job.upload is not None
    paths = []
    for number, place in enumerate(job.model.code_places):
        if place.startswith("@"):
            file = _folder_and_file(place, "model.code", _CODE_FILES)[1]
            root = f"${{BATCH_CODE_{number}}}"
            paths.append(f"{root}/{file}" if file.endswith(_ARCHIVES) else root)
        else:
            paths.append(f"${{{_OUTPUT}}}/{WORKER_FOLDER}/{job.upload.python_path[number]}")
    return paths


def _model_file(job: WorkerJob) -> Path | None:
    """The model's own file or folder, as the container sees it."""
    assert job.upload is not None
    if job.upload.model is not None:
        return Path(f"${{{_OUTPUT}}}/{WORKER_FOLDER}/{job.upload.model}")
    if job.model.file is None:
        return None
    file = _model_place(job.model.file, job.model)[1]
    return Path(f"${{{_MODEL}}}/{file}" if file else f"${{{_MODEL}}}")


def _model_place(place: str, model: ModelSpec) -> tuple[StagePath, str]:
    return _folder_and_file(place, "model.path", (".zip",) if model.file_is_folder else ("",))


def _folder_and_file(place: str, field: str, endings: tuple[str, ...]) -> tuple[StagePath, str]:
    """A stage location of code or of a model: a folder is mounted whole, of a file the folder that it lies in.

    :param endings: of files.
    """
    location = StagePath.parse(place, field=field)
    if location.path.endswith(endings):
        folder, _, file = location.path.rpartition("/")
        return StagePath(location.stage, folder), file
    return location, ""


def _in_output(job: WorkerJob, location: StagePath) -> str:
    """A place below the output location, as the container sees it."""
    below = location.path.removeprefix(job.output.location.path).rstrip("/")
    return f"${{{_OUTPUT}}}/{below}"


def _without_slash(location: StagePath) -> str:
    return str(location).rstrip("/")


def _secret(variable: str, given: Any) -> dict[str, Any]:
    """containers.secrets: by reference; the secret itself never comes through here."""
    parts = {"secret": given} if isinstance(given, str) else given
    return {
        "snowflakeSecret": {"objectName": parts["secret"]},
        "envVarName": variable,
        "secretKeyRef": parts.get("key", DEFAULT_SECRET_KEY),
    }
