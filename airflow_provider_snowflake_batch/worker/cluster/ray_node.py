"""A Ray node of this replica, started by Ray's own command line.

Which process of Ray listens on which port: https://docs.ray.io/en/latest/ray-core/configure.html. By default, Ray draws
most ports at random. The nodes end with this process, which kills its descendants: ``ray stop`` would also end nodes of
other jobs, and by itself a node ends only a minute after its head.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from airflow_provider_snowflake_batch.contract.cluster import PORTS_VARIABLE
from airflow_provider_snowflake_batch.worker.cluster.place import Place, taken
from airflow_provider_snowflake_batch.worker.errors import ClusterError
from airflow_provider_snowflake_batch.worker.processes import interpreter
from airflow_provider_snowflake_batch.worker.processes.descendants import kill_marked

# Only messages and small pieces of files go through it. Ray's minimum is 75 MiB.
_OBJECT_STORE_BYTES = 100_000_000
_SHOWN_LINES = 5
_PROGRAM = "airflow_provider_snowflake_batch.worker.cluster.ray_start"
_MOST_STARTS = 3
# In the output of a node that has not registered in time, as on a busy machine.
_TOO_SLOW = "timed out during startup"
_MOST_SLOW_STARTS = 10
# The environment variable that marks the processes of one start.
_START = "SNOWFLAKE_BATCH_RAY_START"


@dataclass(frozen=True)
class RayPorts:
    """What listens where, on one replica."""

    gcs: int
    object_manager: int
    node_manager: int
    runtime_env_agent: int
    agent_grpc: int
    agent_listen: int
    metrics: int
    client: int
    autoscaler_metrics: int
    dashboard_metrics: int
    workers: range

    @staticmethod
    def of(ports: range) -> RayPorts:
        """:param ports: of the replica; the first is not Ray's."""
        single = iter(ports[1:11])
        names = [one.name for one in fields(RayPorts) if one.name != "workers"]
        return RayPorts(**dict(zip(names, single, strict=True)), workers=ports[11:])


def resource(replica: int) -> str:
    """What tells whose node it is."""
    return f"replica_{replica}"


def is_installed() -> bool:
    """Whether Ray is there. It is not loaded for that."""
    return importlib.util.find_spec("ray") is not None


def own_ports(place: Place) -> range:
    """The ports of a node that it cannot do without. Its workers take others where one of theirs is taken."""
    return place.ports[1:11]


def cluster_address(place: Place) -> str:
    """Where the cluster is whose head is at a place."""
    return f"{place.address}:{RayPorts.of(place.ports).gcs}"


def start_command(place: Place, replica: int, *, head: Path | None = None, cluster: str | None = None) -> list[str]:
    """The command that starts a node.

    :param head: for the head, the folder for what the cluster's nodes put down.
    :param cluster: for others, where it is.
    """
    ports = RayPorts.of(place.ports)
    command = [sys.executable, "-m", _PROGRAM, "start"]
    if head is not None:
        command += ["--head", f"--port={ports.gcs}", f"--temp-dir={head}", "--include-dashboard=false", "--no-monitor"]
        # Nevertheless Ray starts a process for the dashboard and waits for it, unless its address is taken. Replica 0
        # already listens at this address.
        command += [f"--dashboard-host={place.address}", f"--dashboard-port={place.ports[0]}"]
        if importlib.util.find_spec("grpc") is not None:
            # If Ray's client is installed, its server always listens. If it is not, naming the port is an error.
            command.append(f"--ray-client-server-port={ports.client}")
    else:
        command.append(f"--address={cluster}")
    return [
        *command,
        f"--node-ip-address={place.address}",
        f"--object-manager-port={ports.object_manager}",
        f"--node-manager-port={ports.node_manager}",
        f"--runtime-env-agent-port={ports.runtime_env_agent}",
        f"--dashboard-agent-grpc-port={ports.agent_grpc}",
        f"--dashboard-agent-listen-port={ports.agent_listen}",
        f"--metrics-export-port={ports.metrics}",
        f"--min-worker-port={ports.workers[0]}",
        f"--max-worker-port={ports.workers[-1]}",
        # A node runs one process only, the host's: without CPUs, Ray starts no processes in advance.
        "--num-cpus=0",
        "--num-gpus=0",
        f"--object-store-memory={_OBJECT_STORE_BYTES}",
        f'--resources={{"{resource(replica)}": 1}}',
        # Output goes to the replicas' own logs, so Ray need not collect it.
        "--include-log-monitor=false",
        "--disable-usage-stats",
    ]


def write_token(folder: Path, token: str) -> Path:
    """Put the cluster's token where only this user can read it.

    :return: the file.
    """
    path = folder / "ray-token"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(token)
    return path


def ray_settings(place: Place, token: Path) -> dict[str, str]:
    """The environment variables of everything of Ray.

    The mode of authentication is stated, since its default differs from version to version, and nodes that are started
    never choose it by themselves.
    """
    ports = RayPorts.of(place.ports)
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "AUTOSCALER_METRIC_PORT": str(ports.autoscaler_metrics),
        "DASHBOARD_METRIC_PORT": str(ports.dashboard_metrics),
        # This package decides which GPUs a model process sees.
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1",
        # Ray's monitor would kill the host with all model processes when memory is short. The kernel kills only one.
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_DEDUP_LOGS": "0",
        # What Ray would keep of each call for its dashboard, which does not run.
        "RAY_task_events_report_interval_ms": "0",
    }


class RayNode:
    """A node that is being started.

    :param settings: environment variables besides this process's own.
    :param log: writes a line to the log.
    :param ports: what it listens on.
    """

    def __init__(
        self,
        command: list[str],
        settings: Mapping[str, str],
        log: Callable[[str], None],
        ports: Iterable[int] = (),
    ) -> None:
        self._command, self._settings, self._log, self._ports = command, settings, log, tuple(ports)
        self._starts, self._up = 0, False
        self._output: IO[bytes] = TemporaryFile()  # noqa: SIM115
        self._popen = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._starts += 1
        self._mark = uuid.uuid4().hex
        environment = {**interpreter.environment(), **self._settings, _START: self._mark}
        # A token from outside: the cluster has its own, in a file.
        environment.pop("RAY_AUTH_TOKEN", None)
        environment.pop("RAY_ADDRESS", None)
        return subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output, env=environment
        )

    @property
    def pid(self) -> int:
        """The process id of the command; the parent has to wait for it."""
        return self._popen.pid

    def is_up(self) -> bool:
        """Whether it has started by now.

        :raises ClusterError: it could not be started.
        """
        if self._up:
            return True
        status = self._popen.poll()
        if status is None:
            return False
        words = ""
        if status:
            words = self._last_words()
            # Some processes may still run and hold the ports that the next start needs.
            kill_marked(_START, self._mark)
            if others := taken(self._ports):
                ports = ", ".join(map(str, others))
                words = f"somebody else listens on port {ports}, and {PORTS_VARIABLE} says which are Ray's: {words}"
        if status and self._starts < (_MOST_SLOW_STARTS if _TOO_SLOW in words else _MOST_STARTS):
            self._log(f"Ray has not started, and is started again: {words}")
            # The processes share the position in this file. Without this, zeros would come before the next one's
            # output.
            self._output.seek(0)
            self._output.truncate()
            self._popen = self._start()
            return False
        self._output.close()
        if status:
            raise ClusterError(f"Ray could not be started (exit code {status}): {words}")
        self._up = True
        return True

    def _last_words(self) -> str:
        self._output.seek(0)
        lines = [line.strip() for line in self._output.read().decode(errors="replace").splitlines() if line.strip()]
        return " | ".join(lines[-_SHOWN_LINES:])
