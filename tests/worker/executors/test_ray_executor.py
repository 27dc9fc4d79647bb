"""Replicas as Ray nodes on loopback addresses of this machine, in an environment that has Ray.

Also tests ``worker/executors/ray_cluster.py``, ``worker/executors/ray_host.py``, ``worker/executors/ray_reader.py``,
``worker/ray_replicas.py``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.contract.cluster import ADDRESS_VARIABLE
from airflow_provider_snowflake_batch.worker.cluster.rendezvous import Rendezvous
from airflow_provider_snowflake_batch.worker.errors import EXIT_FAILED
from tests.worker.batches import HERE, Batch, Outcome, until
from tests.worker.executors.held_reader import READ_WHEN

pytestmark = pytest.mark.slow
# Limits for what goes wrong: on a busy machine, a cluster takes minutes to start.
SECONDS = 500
GONE_SECONDS = 180
MARK = "TEST_OF_REPLICAS"
TASKS, TASK_ROWS = 20, 65_536
ROWS = TASKS * TASK_ROWS
ROOT = Path(__file__).parents[3]
HAS_RAY = "import importlib.util, sys; sys.exit(importlib.util.find_spec('ray') is None)"


@pytest.fixture(scope="module")
def python() -> str:
    """A Python that has Ray: this one, or that of the container runtime (see the Makefile)."""
    for one in filter(None, (sys.executable, os.environ.get("LOCAL_SNOWFLAKE_RUNTIME_PYTHON"))):
        if subprocess.run([one, "-c", HAS_RAY], check=False).returncode == 0:
            return one
    pytest.skip("no Python with Ray; LOCAL_SNOWFLAKE_RUNTIME_PYTHON names one")


class Replicas:
    """The replicas of a batch as processes, each with a loopback address of its own."""

    def __init__(self, batch: Batch, python: str, count: int = 3) -> None:
        self.batch, self.count = batch, count
        self._python, self.worker = python, "airflow_provider_snowflake_batch.worker"
        self.processes: dict[int, subprocess.Popen[str]] = {}

    def job(
        self,
        *,
        wait_for: int,
        stuck: int | None = None,
        fails: int | None = None,
        partition_column: str | None = None,
        **inference: object,
    ) -> None:
        here = self.batch.root / "here"
        here.mkdir(exist_ok=True)
        # In a folder of its own: whatever changes in the model's folder ends the batch.
        code = self.batch.root / "code"
        code.mkdir(exist_ok=True)
        shutil.copy(HERE / "replica_models.py", code)
        init = {"folder": str(here), "replicas": wait_for, "stuck": stuck, "fails": fails}
        model = {"kind": "python", "target": "replica_models:Together", "python_path": [str(code)], "init": init}
        self.batch.job(
            model,
            input={"partition_column": partition_column},
            inference={"num_workers": 1, "max_batch_rows": TASK_ROWS, **inference},
        )
        if self.batch.volume is not None:
            self.batch.put_job_file_beside_output()

    def start(self, replica: int, **variables: str) -> None:
        self.processes[replica] = self.batch.start(
            replica=(replica, self.count),
            worker=[self._python, "-m", self.worker],
            variables={
                "PYTHONPATH": str(ROOT),
                ADDRESS_VARIABLE: f"127.0.0.{replica + 2}",
                MARK: str(self.batch.root),
                **variables,
            },
        )

    def outcome(self, replica: int) -> Outcome:
        stdout, stderr = self.processes[replica].communicate(timeout=SECONDS)
        return Outcome(self.processes[replica].returncode, stdout, stderr)

    def alone(self) -> Outcome:
        """One replica that does all."""
        process = self.batch.start(worker=[self._python, "-m", self.worker], variables={"PYTHONPATH": str(ROOT)})
        stdout, stderr = process.communicate(timeout=SECONDS)
        return Outcome(process.returncode, stdout, stderr)

    def calls(self) -> list[tuple[int, int]]:
        """The model's calls, as replica and first row."""
        lines = [line for path in self.batch.root.glob("calls-*") for line in path.read_text().splitlines()]
        return [(int(replica), int(row)) for replica, row in map(str.split, lines)]

    def tasks_called(self) -> Counter[int]:
        """How often the model was called for rows of each task."""
        return Counter(row // TASK_ROWS for _, row in self.calls())


@pytest.fixture
def replicas(batch: Batch, python: str) -> Iterator[Replicas]:
    batch.ids(ROWS, row_group_size=TASK_ROWS)
    replicas = Replicas(batch, python)
    yield replicas
    for process in replicas.processes.values():
        if process.poll() is None:
            # The test has failed before.
            process.kill()
    # What Ray started for a replica that was killed notices a little later that its node is gone.
    deadline = time.monotonic() + GONE_SECONDS
    while (left := _left(batch.root)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left, f"still there after {GONE_SECONDS} s:\n" + "\n".join(left)


def _left(root: Path) -> list[str]:
    """The processes of a batch, in words."""
    return [
        f"{number}: {command.replace(bytes(1), b' ').decode(errors='replace')[:300]}"
        for number, (command, _) in _processes(root).items()
    ]


def _processes(root: Path) -> dict[str, tuple[bytes, bytes]]:
    """Command and environment of the processes of a batch: each inherits this, or is called with its folder."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        command, environment = _read(process / "cmdline"), _read(process / "environ")
        if str(root).encode() in command or f"{MARK}={root}".encode() in environment.split(b"\0"):
            found[process.name] = (command, environment)
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def parts(batch: Batch) -> dict[str, list[int]]:
    """The rows of each part, under the part's name without the attempt that wrote it."""
    found = {}
    for one in batch.manifest()["files"]:
        name = re.sub(r"\.[0-9a-f]{8}", "", one["name"])
        found[name] = pq.read_table(batch.output / one["name"])["ID"].to_pylist()
    return found


def test_three_replicas_write_what_one_writes(replicas: Replicas) -> None:
    """In any order; of other kinds of models, `test_same_as_one` tells."""
    batch = replicas.batch
    replicas.job(wait_for=3)
    for replica in (2, 0, 1):
        replicas.start(replica)
    outcomes = [replicas.outcome(replica) for replica in range(3)]

    assert [one.code for one in outcomes] == [0, 0, 0], [one.stderr for one in outcomes]
    assert batch.succeeded()
    assert batch.verify().code == 0
    assert {replica for replica, _ in replicas.calls()} == {0, 1, 2}
    rows = [row for _, row in replicas.calls()]
    assert len(rows) == len(set(rows))
    assert outcomes[0].progress[-1]["rows_done"] == ROWS
    # What a model prints is in the log of the replica where it was called.
    for replica, outcome in enumerate(outcomes):
        said = {line for line in outcome.stdout.splitlines() if line.startswith("called on")}
        assert said == {f"called on replica {replica}"}
    together, manifest = parts(batch), batch.manifest()
    assert not [path for path in batch.job_file.parent.glob("_replicas-*") if "ended" not in path.name]

    for path in [*batch.output.glob("*"), *(batch.output / "_tasks").glob("*")]:
        if path.is_file():
            path.unlink()
    assert replicas.alone().code == 0
    assert parts(batch) == together
    alone = batch.manifest()
    same = ("rows", "schema", "fingerprint", "input_fingerprint", "model")
    assert {name: manifest[name] for name in same} == {name: alone[name] for name in same}
    assert [one["checksum"] for one in manifest["files"]] == [one["checksum"] for one in alone["files"]]


def test_replicas_meet_on_a_stage_volume(replicas: Replicas) -> None:
    """Each sees late what the others have written there: the announcement, parts, records, and how it ended."""
    batch = replicas.batch
    batch.put_on_stages(seconds=3)
    replicas.job(wait_for=3)
    for replica in range(3):
        replicas.start(replica)
    outcomes = [replicas.outcome(replica) for replica in range(3)]

    assert [one.code for one in outcomes] == [0, 0, 0], [one.stderr for one in outcomes]
    assert {replica for replica, _ in replicas.calls()} == {0, 1, 2}
    assert batch.verify().code == 0
    assert batch.result()["ID"].to_pylist() == list(range(ROWS))
    assert [path.name for path in batch.output.parent.glob("_replicas-*") if "ended" in path.name]


# Of Ray, those processes that a raylet waits for.
SLOW_AGENTS = """
import sys, time

if any(path in " ".join(sys.orig_argv) for path in ("dashboard/agent.py", "runtime_env/agent/main.py")):
    time.sleep(20)
"""


def test_replicas_meet_on_a_busy_machine(replicas: Replicas, tmp_path: Path) -> None:
    """Where the processes that Ray starts for a node take longer to load than it waits for them."""
    batch, folder = replicas.batch, tmp_path / "slow"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SLOW_AGENTS)
    replicas.job(wait_for=3)
    for replica in range(3):
        replicas.start(replica, PYTHONPATH=f"{folder}{os.pathsep}{ROOT}")
    outcomes = [replicas.outcome(replica) for replica in range(3)]

    assert [one.code for one in outcomes] == [0, 0, 0], [one.stderr for one in outcomes]
    assert {replica for replica, _ in replicas.calls()} == {0, 1, 2}
    assert batch.verify().code == 0


def test_a_replica_that_is_killed_costs_its_unfinished_tasks(replicas: Replicas) -> None:
    batch = replicas.batch
    replicas.job(wait_for=3, stuck=2)
    for replica in range(3):
        replicas.start(replica)
    until((batch.root / "stuck").exists, "the call that does not return")
    recorded, calls = batch.recorded(), replicas.tasks_called()
    replicas.processes[2].kill()
    outcomes = [replicas.outcome(replica) for replica in range(2)]

    assert [one.code for one in outcomes] == [0, 0], [one.stderr for one in outcomes]
    assert batch.succeeded()
    assert batch.verify().code == 0
    assert batch.result()["ID"].to_pylist() == list(range(ROWS))
    assert "replica 2 is lost" in outcomes[0].stderr
    # What it had recorded is not done again. At hand it had one task that was being written, and the one it was at.
    again = replicas.tasks_called() - calls
    assert all(replicas.tasks_called()[task] == calls[task] for task in recorded)
    assert all(number == 1 for number in again.values())
    assert len([task for task in again if task in calls]) <= 2


def _host_of(model_process: int) -> int:
    """The actor that has started a model process."""
    number = model_process
    while not Path(f"/proc/{number}/cmdline").read_bytes().startswith(b"ray::RayHost"):
        number = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
        assert number > 1, f"no actor has started {model_process}"
    return number


def test_of_a_killed_host_the_tasks_are_done_again_and_all_replicas_end_well(replicas: Replicas) -> None:
    """As where memory is short: the actor is killed, and its node goes on."""
    batch = replicas.batch
    replicas.job(wait_for=3, stuck=2)
    for replica in range(3):
        replicas.start(replica)
    until((batch.root / "stuck").exists, "the call that does not return")
    (calls,) = [path for path in batch.root.glob("calls-*") if path.read_text().startswith("2 ")]
    recorded, before = batch.recorded(), replicas.tasks_called()
    os.kill(_host_of(int(calls.name.removeprefix("calls-"))), signal.SIGKILL)
    (batch.root / "free").touch()
    outcomes = [replicas.outcome(replica) for replica in range(3)]

    assert [one.code for one in outcomes] == [0, 0, 0], [one.stderr for one in outcomes]
    assert "replica 2 is lost" in outcomes[0].stderr
    assert batch.verify().code == 0
    assert batch.result()["ID"].to_pylist() == list(range(ROWS))
    assert all(replicas.tasks_called()[task] == before[task] for task in recorded)


def test_what_a_killed_replica_has_read_of_groups_is_read_again(replicas: Replicas) -> None:
    """It is killed while the input is read; of what it has read, nothing is left."""
    batch, group_rows = replicas.batch, 8_192
    groups = np.arange(ROWS) % (ROWS // group_rows)
    # NULL is a group, too.
    key = pa.array(groups, mask=groups == 7)
    batch.rows({"ID": np.arange(ROWS), "X": np.arange(ROWS) * 3.0, "G": key}, row_group_size=TASK_ROWS)
    replicas.job(wait_for=2, partition_column="G")
    replicas.worker = "tests.worker.executors.held_reader"
    go = batch.root / "go"
    folders = {replica: batch.root / f"tmp-{replica}" for replica in range(3)}
    for replica, folder in folders.items():
        folder.mkdir()
        replicas.start(replica, TMPDIR=str(folder), **{READ_WHEN: str(go)})

    def read(replica: int) -> set[int]:
        """Which chunks it has read, or is about to."""
        names = [path.name for path in folders[replica].rglob("sfbatch-partitions-*/????-????.arrow")]
        return {int(name[5:9]) for name in names}

    # Replica 0 has a chunk, and has not begun. Of those of replica 2, it knows that all but the last are read.
    until(lambda: len(read(1) | read(2)) == TASKS - 1 and len(read(2)) > 1, "all other chunks")
    replicas.processes[2].kill()
    go.touch()
    outcomes = [replicas.outcome(replica) for replica in range(2)]

    assert [one.code for one in outcomes] == [0, 0], [one.stderr for one in outcomes]
    assert "replica 2 is lost as a reader" in outcomes[0].stderr
    assert f"of {TASKS} parts of the input are read again by others" in outcomes[0].stderr
    assert batch.verify().code == 0
    assert batch.result()["ID"].to_pylist() == list(range(ROWS))
    # Each group is called once, whole.
    assert sorted(row for _, row in replicas.calls()) == list(range(ROWS // group_rows))
    assert {replica for replica, _ in replicas.calls()} == {0, 1}
    assert batch.result()["Y"].to_pylist() == [one * 6.0 for one in range(ROWS)]


STRANGER = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
# Those that had to be started again count twice. What is kept of each call is for a dashboard, which there is none of.
print({one["NodeManagerAddress"] for one in ray.nodes()} == {"127.0.0.2", "127.0.0.3"}, len(ray.timeline()))
"""


def calls(python: str, cluster: str, token: str, home: Path) -> tuple[int, str]:
    """How it ends for a program that calls a cluster with some token, and what it says."""
    variables = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "HOME": str(home)}
    command = [python, "-c", STRANGER, cluster]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=SECONDS)
    return done.returncode, done.stdout


def test_the_secret_of_a_run_is_told_to_its_own_alone(replicas: Replicas, python: str, tmp_path: Path) -> None:
    """While there is a cluster, and afterwards: whoever does not own the files of the run cannot know it."""
    batch = replicas.batch
    replicas.job(wait_for=2, stuck=1)
    for replica in (0, 1):
        replicas.start(replica)
    until((batch.root / "stuck").exists, "the call that does not return")
    (announcement,), _ = Rendezvous(batch.job_file.parent).read()
    told = [one.encode() for one in (announcement.secret, announcement.ray_token, announcement.key.decode())]
    running = _processes(batch.root)
    nodes = {number: seen for number, seen in running.items() if seen[0].split(b"\0")[0].endswith(b"/raylet")}

    assert len(nodes) == 2
    for number, (command, environment) in running.items():
        assert not [one for one in told if one in command + environment], (number, command)
    folders = set()
    for _, environment in nodes.values():
        variables = dict(one.split(b"=", 1) for one in environment.split(b"\0") if b"=" in one)
        # Whatever the default of this version of Ray.
        assert variables[b"RAY_AUTH_MODE"] == b"token"
        token = Path(os.fsdecode(variables[b"RAY_AUTH_TOKEN_PATH"]))
        assert (token.read_text(), token.stat().st_mode & 0o777) == (announcement.ray_token, 0o600)
        folders.add(token.parent)
    # What Ray writes into its own logs is in there.
    kept = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.name != "ray-token"]
    assert any(path.name.startswith("raylet") for path in kept)
    assert not [path for path in kept if any(one in _read(path) for one in told)]
    (cluster,) = {re.search(rb"--gcs-address=([\d.:]+)", command)[1] for command, _ in nodes.values()}  # type: ignore[index]
    entered = [calls(python, cluster.decode(), token, tmp_path) for token in (announcement.ray_token, "0" * 64)]
    assert entered == [(0, "True 0\n"), (1, "")]

    (batch.root / "free").touch()
    outcomes = [replicas.outcome(replica) for replica in (0, 1)]
    assert [one.code for one in outcomes] == [0, 0], [one.stderr for one in outcomes]
    logs = "".join(one.stdout + one.stderr for one in outcomes).encode()
    assert b"replica 1 takes part" in logs
    # Among these: the job file, the manifest, the tasks' records.
    left = [path for path in batch.root.rglob("*") if path.is_file()]
    assert {"JOB.json", "_manifest.json"} <= {path.name for path in left}
    assert not [path for path in left if any(one in _read(path) for one in told)]
    assert not [one for one in told if one in logs]


LISTENS = """
import sys, threading
from unittest.mock import Mock
from ray._private import worker
from airflow_provider_snowflake_batch.worker.executors.ray_cluster import silence

ended, subscriber = threading.Event(), Mock()
def poll():
    ended.set()
    return None, {"job_id": None, "type": "node_removed", "error_message": "The node has been marked dead"}
subscriber.poll = poll
if sys.argv[1:] == ["silent"]:
    silence()
worker.listen_error_messages(Mock(gcs_error_subscriber=subscriber), ended)
"""


def test_ray_does_not_tell_what_is_told_already(python: str) -> None:
    """Of a lost replica there is one line, without colours. Otherwise Ray prints it after the node has timed out."""

    def told(*arguments: str) -> str:
        command = [python, "-c", LISTENS, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_DEDUP_LOGS": "0"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=SECONDS)
        return done.stdout + done.stderr

    assert "The node has been marked dead" in told()
    assert told("silent") == ""


CONNECTS = """
import os, signal
from airflow_provider_snowflake_batch.worker.errors import Terminated
from airflow_provider_snowflake_batch.worker.executors.ray_cluster import _as_before
from airflow_provider_snowflake_batch.worker.processes.stop_signals import StopSignals

StopSignals()
set_handler = signal.signal

def then_stop(number, handler):
    before = set_handler(number, handler)
    if number == signal.SIGTERM:
        signal.signal = set_handler
        # Later it would meet a connection that is being tried, in which no handler runs.
        os.kill(os.getpid(), signal.SIGTERM)
    return before

try:
    with _as_before({}):
        import ray
        signal.signal = then_stop
        ray.init(address="127.0.0.1:1", logging_level="ERROR")
except Terminated as stopped:
    print(stopped, flush=True)
os._exit(0)
"""


def test_a_signal_while_ray_has_handlers_of_its_own_stops_the_batch_in_order(python: str) -> None:
    command = [python, "-c", CONNECTS]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert done.stdout == "stopped by SIGTERM; finished tasks keep their records\n", done.stderr


def test_without_the_first_replica_the_next_attempt_goes_on(replicas: Replicas) -> None:
    """One replica never comes at all, and nobody waits for it."""
    batch = replicas.batch
    replicas.job(wait_for=2, stuck=0)
    for replica in (0, 1):
        replicas.start(replica)
    until((batch.root / "stuck").exists, "the call that does not return")
    until(lambda: len(batch.recorded()) >= 5, "five tasks")
    replicas.processes[0].kill()
    helper = replicas.outcome(1)

    assert helper.code == 1
    # It was told by the line, long before Ray would have been.
    assert "replica 0 is gone" in helper.last
    assert not batch.succeeded()
    done, before = batch.recorded(), replicas.tasks_called()

    (batch.root / "free").touch()
    assert replicas.alone().code == 0
    assert batch.succeeded()
    assert batch.result()["ID"].to_pylist() == list(range(ROWS))
    assert set(replicas.tasks_called() - before) == set(range(TASKS)) - done


def test_who_is_missing_is_named(replicas: Replicas) -> None:
    replicas.job(wait_for=2, min_replicas=2)
    replicas.start(0, WORKER_RENDEZVOUS_SECONDS="3")
    outcome = replicas.outcome(0)

    assert outcome.code == 1
    assert "not come within 3 s: replicas 1, 2 of 3. inference.min_replicas is 2" in outcome.last

    replicas.start(1, WORKER_RENDEZVOUS_SECONDS="3")
    late = replicas.outcome(1)
    assert late.code == 1
    assert "replica 0 has not come within 3 s" in late.last


def test_a_small_batch_is_done_before_there_is_a_cluster(replicas: Replicas) -> None:
    replicas.batch.ids(1000)
    replicas.job(wait_for=1)
    for replica in (1, 0):
        replicas.start(replica)
    outcomes = [replicas.outcome(replica) for replica in (0, 1)]

    assert [one.code for one in outcomes] == [0, 0], [one.stderr for one in outcomes]
    assert replicas.batch.result()["ID"].to_pylist() == list(range(1000))


def test_all_replicas_end_as_the_first_one_does(replicas: Replicas) -> None:
    replicas.batch.ids(1000)
    replicas.job(wait_for=1, stuck=0, max_batch_rows=500)
    for replica in range(3):
        replicas.start(replica)
    until((replicas.batch.root / "stuck").exists, "the call that does not return")
    replicas.processes[0].terminate()
    (replicas.batch.root / "free").touch()
    outcomes = [replicas.outcome(replica) for replica in range(3)]

    assert [one.code for one in outcomes] == [143] * 3
    assert "replica 0 has ended: stopped by SIGTERM" in outcomes[1].last


def test_an_error_of_the_model_on_one_replica_ends_all_of_them_alike_also_one_that_comes_later(
    replicas: Replicas,
) -> None:
    replicas.job(wait_for=2, fails=1)
    for replica in (0, 1):
        replicas.start(replica)
    outcomes = [replicas.outcome(replica) for replica in (0, 1)]
    replicas.start(2)
    outcomes.append(replicas.outcome(2))

    assert [one.code for one in outcomes] == [EXIT_FAILED] * 3
    assert all(one.last.startswith("ModelError") and "replica 1 has another disk" in one.last for one in outcomes)
    assert not replicas.batch.succeeded()
