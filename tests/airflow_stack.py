"""A real Airflow as processes, for tests: api-server, scheduler, dag-processor and triggerer on SQLite."""

from __future__ import annotations

import secrets
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import psutil

from airflow_provider_snowflake_batch.standalone.airflow import start_component
from airflow_provider_snowflake_batch.standalone.processes import (
    end,
    family,
    free_ports,
    kill,
    last_lines,
    new_secrets,
    working_in,
)
from airflow_provider_snowflake_batch.standalone.settings import (
    COMPONENTS,
    component_settings,
    home_settings,
    plain_environment,
)
from tests.airflow_home import make_database

ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})

_T = TypeVar("_T")


class AirflowStack:
    """Starts and stops a whole Airflow on free ports, and talks to it through its REST API.

    Tasks are named as Airflow prints them: ``score``, or ``score[2]`` for a mapped one.

    :param home: where everything lies: database, settings, logs.
    :param dags_folders: folders with Dag files, each served as a Dag bundle named like the folder.
    :param connection_json: the connection ``snowflake_default``.
    :param settings: further environment variables, for example ``AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC``.
    """

    def __init__(
        self,
        home: Path,
        dags_folders: Sequence[Path],
        connection_json: str,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home = Path(home)
        self.port, worker_log_port, trigger_log_port = free_ports(3)
        self.url = f"http://127.0.0.1:{self.port}"
        self.logs = self.home / "processes"
        self.environment = {
            **plain_environment(),
            **home_settings(self.home, connection_json),
            **component_settings(self.port, (worker_log_port, trigger_log_port), dags_folders, new_secrets()),
            "AIRFLOW__API__EXPOSE_STACKTRACE": "True",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            **(settings or {}),
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._dag_of_run: dict[str, str] = {}
        # With SQLite an answer may wait for other transactions; whoever asks in a loop has a deadline of its own.
        self._client = httpx.Client(base_url=self.url, timeout=120, trust_env=False)

    # --- processes -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            make_database(self.home)
            self.logs.mkdir(parents=True, exist_ok=True)
            for component in COMPONENTS:
                self.start(component)
            self.wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self, component: str, name: str | None = None, settings: Mapping[str, str] | None = None) -> None:
        """Start one of :data:`COMPONENTS` in a process group of its own; its log is ``processes/<name>.log``.

        :param name: of a second process of one component, by which to kill and signal it.
        :param settings: further environment variables.
        """
        name = name or component
        if name in self._processes:
            raise RuntimeError(f"{name} runs already")
        self._processes[name] = start_component(
            component, self.home, self.environment | dict(settings or {}), self.logs / f"{name}.log"
        )

    def kill(self, component: str, *, alone: bool = False) -> None:
        """End one component without a chance to clean up.

        :param alone: leave alive what it has started, for example the processes of tasks.
        """
        process = self._processes.pop(component)
        if alone:
            process.kill()
            process.wait()
        else:
            end([process], grace=0)

    def age_heartbeats(self, job_type: str) -> None:
        """Make the last heartbeats of a killed component an hour old, so that the next one need not wait until it takes
        the other for dead.

        :param job_type: what the component is called in Airflow's table ``job``, for example ``SchedulerJob``.
        """
        with closing(sqlite3.connect(self.home / "airflow.db", timeout=60)) as database, database:
            database.execute(
                "UPDATE job SET latest_heartbeat = datetime(latest_heartbeat, '-1 hour') || '.000000' "
                "WHERE job_type = ? AND state = 'running'",
                (job_type,),
            )

    def signal(self, component: str, number: signal.Signals) -> None:
        """Send a signal to one component with everything it has started, for example SIGSTOP and SIGCONT."""
        for process in self.family(component):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    @property
    def running(self) -> list[str]:
        """The names of the components that were started and not killed."""
        return list(self._processes)

    def family(self, component: str) -> list[psutil.Process]:
        """One component's process and all that descend from it, such as the processes of running tasks."""
        return family(self._processes[component])

    def stop(self, grace: float = 5) -> None:
        """End everything, asking first.

        :param grace: seconds between the request (SIGTERM) and the end (SIGKILL).
        """
        processes, self._processes = self._processes, {}
        end(processes.values(), grace)
        # What a component that was killed alone has started, for example the server of its logs.
        kill(self.processes())
        self._client.close()

    def wait_until_healthy(self, timeout: float = 300) -> None:
        """Wait until the database, the scheduler, the triggerer and the dag-processor report that they are well."""

        def healthy() -> bool:
            for component, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{component} ended:\n{self._last_lines(component)}")
            try:
                health = self._client.get("/api/v2/monitor/health").json()
            except httpx.TransportError:
                return False
            return all(part["status"] == "healthy" for part in health.values())

        self._wait(healthy, lambda well: well, timeout, lambda: "The Airflow processes are not healthy")
        token = self._client.get("/auth/token").raise_for_status().json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    # --- runs and tasks --------------------------------------------------------------------------------------------

    def trigger(
        self, dag_id: str, conf: Mapping[str, Any] | None = None, *, run_id: str | None = None, timeout: float = 180
    ) -> str:
        """Start a run of a Dag, waiting for the dag-processor to have found it; the run's id."""
        run_id = run_id or f"test_{secrets.token_hex(4)}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
        response = self._wait(
            lambda: self._client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body),
            lambda response: response.status_code != 404 and not _rolled_back(response),
            timeout,
            lambda: f"Dag {dag_id} is unknown; import errors: {self.import_errors()}",
        )
        self._dag_of_run[run_id] = dag_id
        _checked(response)
        return run_id

    def import_errors(self) -> list[str]:
        """What the dag-processor could not import."""
        return [error["stack_trace"] for error in self._get("/api/v2/importErrors")["import_errors"]]

    def run_state(self, run_id: str) -> str:
        return str(self._get(self._run_path(run_id))["state"])

    def task_states(self, run_id: str) -> dict[str, str | None]:
        """Each task's state; None is a task that has not been scheduled yet."""
        found = self._get(f"{self._run_path(run_id)}/taskInstances", limit=500)["task_instances"]
        return {_task_name(instance): instance["state"] for instance in found}

    def failures(self, run_id: str) -> str:
        """The last lines of the log of each task that has failed, for the message of a test."""
        failed = [task for task, state in self.task_states(run_id).items() if state == "failed"]
        return "\n".join(f"--- {task}\n" + "\n".join(self.task_log(run_id, task).splitlines()[-15:]) for task in failed)

    def wait_for_task(self, run_id: str, task: str, state: str, timeout: float = 240) -> None:
        """Wait until a task is in a state.

        :raises RuntimeError: if it ends in another one, or the time is over.
        """
        states = self._wait(
            lambda: self.task_states(run_id),
            lambda states: states.get(task) == state or states.get(task) in ENDED,
            timeout,
            lambda: f"{task} has not become {state}",
        )
        if states[task] != state:
            log = self.task_log(run_id, task)
            raise RuntimeError(f"{task} has become {states[task]}, not {state}. States: {states}. Its log:\n{log}")

    def wait_for_run(self, run_id: str, timeout: float = 280) -> str:
        """Wait until a run has ended, however it ended; its state."""
        return self._wait(
            lambda: self.run_state(run_id),
            lambda state: state in ("success", "failed"),
            timeout,
            lambda: f"Run {run_id} has not ended: {self.task_states(run_id)}",
        )

    def events(self, run_id: str) -> list[str]:
        """What Airflow's audit log says of a run, the oldest first; also why the scheduler gave up a task."""
        found = self._get("/api/v2/eventLogs", run_id=run_id, order_by="event_log_id", limit=500)["event_logs"]
        return [f"{each['task_id']}[{each['map_index']}] {each['event']}: {each['extra']}" for each in found]

    def try_number(self, run_id: str, task: str) -> int:
        return int(self._get(self._task_path(run_id, task))["try_number"])

    def triggerer(self, run_id: str, task: str) -> int | None:
        """The id of the triggerer that has a deferred task's trigger."""
        holder = self._get(self._task_path(run_id, task))["triggerer_job"]
        return int(holder["id"]) if holder else None

    def task_log(self, run_id: str, task: str, try_number: int | None = None) -> str:
        """What the task's page shows as its log, with the exceptions; of the last try, if none is given."""
        name, map_index = _split(task)
        number = try_number or self.try_number(run_id, task)
        path = f"{self._run_path(run_id)}/taskInstances/{name}/logs/{number}"
        content = self._get(path, full_content="true", map_index=map_index)["content"]
        return "\n".join(line for entry in content for line in _log_lines(entry))

    def xcom(self, run_id: str, task: str, key: str = "return_value") -> Any:
        """What a task has pushed, or None."""
        name, map_index = _split(task)
        path = f"{self._run_path(run_id)}/taskInstances/{name}/xcomEntries/{key}"
        response = self._client.get(path, params={"map_index": map_index})
        return None if response.status_code == 404 else _checked(response)["value"]

    def write_xcom(self, run_id: str, task: str, key: str, value: Any) -> None:
        """Put something else into an XCom that is there, as anybody may."""
        name, index = _split(task)
        path = f"{self._run_path(run_id)}/taskInstances/{name}/xcomEntries/{key}"
        self._change("PATCH", path, {"value": value, "map_index": index})

    def links(self, run_id: str, task: str) -> dict[str, str | None]:
        """The buttons on the task's page."""
        name, map_index = _split(task)
        path = f"{self._run_path(run_id)}/taskInstances/{name}/links"
        return dict(self._get(path, map_index=map_index)["extra_links"])

    def fetch(self, address: str, **params: Any) -> httpx.Response:
        """What a signed-in browser is answered. :param address: with or without the server's name."""
        return self._client.get(address, params=params)

    def runs(self, dag_id: str) -> list[str]:
        """The ids of a Dag's runs, whoever has started them; the oldest first."""
        found = self._get(f"/api/v2/dags/{dag_id}/dagRuns", order_by="run_after", limit=100)["dag_runs"]
        runs = [str(run["dag_run_id"]) for run in found]
        self._dag_of_run.update(dict.fromkeys(runs, dag_id))
        return runs

    def unpause(self, dag_id: str, timeout: float = 180) -> None:
        """What the switch beside a Dag's name does."""
        response = self._wait(
            lambda: self._client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}),
            lambda response: response.status_code != 404,
            timeout,
            lambda: f"Dag {dag_id} is unknown; import errors: {self.import_errors()}",
        )
        _checked(response)

    def asset_events(self, asset: str) -> list[dict[str, Any]]:
        """All events of the asset with this name; the oldest first."""
        found = self._get("/api/v2/assets", name_pattern=asset)["assets"]
        (asset_id,) = (each["id"] for each in found if each["name"] == asset)
        events = self._get("/api/v2/assets/events", asset_id=asset_id, order_by="timestamp", limit=100)
        return list(events["asset_events"])

    def mark(self, run_id: str, task: str, state: str) -> None:
        """What the button "Mark task as …" does."""
        self._change("PATCH", self._task_path(run_id, task), {"new_state": state})

    def mark_run(self, run_id: str, state: str) -> None:
        """What the button "Mark Dag run as …" does."""
        self._change("PATCH", self._run_path(run_id), {"state": state})

    def worker(self, run_id: str, task: str) -> list[psutil.Process]:
        """The processes in which a running task lives: its supervisor and below it the task itself.

        :raises RuntimeError: if there is none.
        """
        instance = self._get(self._task_path(run_id, task))["id"]
        found = [process for process in self.processes() if instance in " ".join(cmdline(process))]
        if not found:
            raise RuntimeError(f"{task} of {run_id} has no process")
        return found

    def processes(self) -> list[psutil.Process]:
        """Every process of this Airflow, also those whose parent is gone: all work in its home."""
        return working_in(self.home)

    def clear(self, run_id: str, task: str, *, downstream: bool = True) -> None:
        """What the button "Clear task" does."""
        name, map_index = _split(task)
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [name if map_index < 0 else [name, map_index]],
            "only_failed": False,
            "include_downstream": downstream,
        }
        self._change("POST", f"/api/v2/dags/{self._dag_of_run[run_id]}/clearTaskInstances", body)

    # --- the REST API ----------------------------------------------------------------------------------------------

    def _run_path(self, run_id: str) -> str:
        return f"/api/v2/dags/{self._dag_of_run[run_id]}/dagRuns/{run_id}"

    def _task_path(self, run_id: str, task: str) -> str:
        name, map_index = _split(task)
        return f"{self._run_path(run_id)}/taskInstances/{name}" + (f"/{map_index}" if map_index >= 0 else "")

    def _get(self, path: str, timeout: float = 180, **params: Any) -> Any:
        response = self._wait(
            lambda: self._client.get(path, params=params),
            lambda response: not _rolled_back(response),
            timeout,
            lambda: f"GET {path} is never answered",
        )
        return _checked(response)

    def _change(self, method: str, path: str, body: dict[str, Any], timeout: float = 180) -> None:
        response = self._wait(
            lambda: self._client.request(method, path, json=body),
            lambda response: not _rolled_back(response),
            timeout,
            lambda: f"{method} {path} is never carried out",
        )
        _checked(response)

    def _wait(
        self, look: Callable[[], _T], enough: Callable[[_T], bool], timeout: float, otherwise: Callable[[], str]
    ) -> _T:
        deadline = time.monotonic() + timeout
        while not enough(seen := look()):
            if time.monotonic() > deadline:
                ends = "\n".join(f"--- {name}\n{self._last_lines(name)}" for name in self._processes)
                raise RuntimeError(f"{otherwise()}, after {timeout:g} s. Last seen: {seen}\n{ends}")
            time.sleep(0.2)
        return seen

    def _last_lines(self, name: str, count: int = 15) -> str:
        return last_lines(self.logs / f"{name}.log", count)


def cmdline(process: psutil.Process) -> list[str]:
    """The command that a process runs; empty if it has ended meanwhile."""
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


def _rolled_back(response: httpx.Response) -> bool:
    """Whether SQLite refused a request because another process was writing: nothing has been done, as with a click that
    a user makes again. What only reads is refused, too, as the server looks for revoked tokens and removes old ones."""
    return response.status_code == 500 and "Database error" in response.text


def _checked(response: httpx.Response) -> Any:
    if response.is_error:
        raise RuntimeError(f"{response.request.method} {response.request.url}: {response.status_code} {response.text}")
    return response.json()


def _task_name(instance: Mapping[str, Any]) -> str:
    index = instance["map_index"]
    return str(instance["task_id"]) + (f"[{index}]" if index >= 0 else "")


def _split(task: str) -> tuple[str, int]:
    name, bracket, index = task.partition("[")
    return name, int(index.rstrip("]")) if bracket else -1


def _log_lines(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    lines = [str(entry["event"])]
    for error in entry.get("error_detail") or []:
        lines.append(f"{error['exc_type']}: {error['exc_value']}")
    return lines
