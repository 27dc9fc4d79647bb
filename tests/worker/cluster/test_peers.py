"""What Snowflake says of a job's replicas: by DNS, which there is none of here, and by a statement to a real server."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from airflow_provider_snowflake_batch.contract.cluster import ADDRESS_VARIABLE
from airflow_provider_snowflake_batch.exceptions import JobNotFoundError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.job import ContainerJob
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.worker.cluster import peers
from airflow_provider_snowflake_batch.worker.cluster.channel import connect
from airflow_provider_snowflake_batch.worker.cluster.follower import Unreachable, find
from airflow_provider_snowflake_batch.worker.cluster.leader import Leader
from airflow_provider_snowflake_batch.worker.cluster.peers import Instance, NotKnown
from airflow_provider_snowflake_batch.worker.cluster.place import Place, _free_ports, place_from_environment
from airflow_provider_snowflake_batch.worker.cluster.rendezvous import Announcement, Rendezvous, RunEnd, Timeouts
from airflow_provider_snowflake_batch.worker.errors import ClusterError
from tests.container_jobs import container_job
from tests.local_faults import faults_of

TIMEOUTS = Timeouts(silence=5.0)


@pytest.fixture(autouse=True)
def no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SERVICE_NAME", "HOST", "PORT", "PROTOCOL", "TOKEN_FILE_PATH", "JOB_INDEX", "DATABASE", "SCHEMA"):
        monkeypatch.delenv(f"SNOWFLAKE_{name}", raising=False)
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A resolver that knows these names of services alone."""
    known: dict[str, list[str]] = {}
    others = socket.getaddrinfo

    def resolve(name: str, *more: Any) -> list[Any]:
        if not name.startswith("instances."):
            return others(name, *more)
        if name not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in known[name]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def test_the_service_has_a_name_for_all_its_instances(
    dns: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert peers.addresses() == []
    dns["instances.batch-my-dag-score-1a2b3c4d"] = ["10.0.0.2", "10.0.0.1", "10.0.0.2"]
    monkeypatch.setenv("SNOWFLAKE_SERVICE_NAME", "BATCH_MY_DAG_SCORE_1A2B3C4D")
    assert peers.addresses() == ["10.0.0.1", "10.0.0.2"]


def test_of_the_services_addresses_a_replica_takes_its_own(
    dns: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the host name leads to: by that one the others might not reach it."""
    dns["instances.job"] = ["192.0.2.7", "127.0.0.9"]
    monkeypatch.setenv("SNOWFLAKE_SERVICE_NAME", "JOB")
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "10.4.5.6")
    assert place_from_environment().address == "127.0.0.9"
    del dns["instances.job"]
    assert place_from_environment().address == "10.4.5.6"


class Answers(BaseHTTPRequestHandler):
    """Answers as a test says, and keeps what it is asked."""

    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b""
    asked: ClassVar[list[tuple[str, str, dict[str, Any]]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Authorization"], body))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def snowflake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answers]]:
    """Where a container would ask."""
    (tmp_path / "token").write_text("t0ken\n")
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in {
            "HOST": "127.0.0.1",
            "PORT": str(server.server_port),
            "PROTOCOL": "http",
            "TOKEN_FILE_PATH": str(tmp_path / "token"),
            "SERVICE_NAME": "JOB",
            "DATABASE": "DB",
            "SCHEMA": "S",
        }.items():
            monkeypatch.setenv(f"SNOWFLAKE_{name}", value)
        yield Answers
        server.shutdown()
    Answers.status, Answers.body = 200, b""
    Answers.asked.clear()


def rows(*found: tuple[str | None, ...]) -> bytes:
    names = [{"name": name} for name in ("service_name", "instance_id", "status", "ip_address")]
    return json.dumps({"resultSetMetaData": {"rowType": names}, "data": found}).encode()


def test_else_a_statement_is_asked_with_the_containers_token(
    snowflake: type[Answers], dns: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    snowflake.body = rows(("JOB", "0", "READY", "127.0.0.8"), ("JOB", "1", "PENDING", None))
    assert peers.by_statement() == [Instance(0, "READY", "127.0.0.8"), Instance(1, "PENDING", None)]
    path, authorization, body = snowflake.asked[0]
    assert (path, authorization) == ("/api/v2/statements", "Bearer t0ken")
    asked = {"statement": "SHOW SERVICE INSTANCES IN SERVICE JOB", "database": "DB", "schema": "S", "timeout": 10}
    assert body == asked
    assert (peers.addresses(), peers.statuses()) == (["127.0.0.8"], {0: "READY", 1: "PENDING"})
    # Its own address, where the host name tells none.
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "127.0.1.1")
    assert place_from_environment().address == "127.0.0.8"


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (401, b'{"code":"390303"}', r"is refused \(401\): \{\"code\":\"390303\"\}$"),
        (202, b'{"code":"333334"}', "is answered in another form: KeyError"),
        (200, b"[]", "is answered in another form$"),
        (200, b"<html>", "cannot be asked for: Expecting value"),
        (200, rows(("JOB", "zero", "READY", None)), "is answered in another form: ValueError"),
        (200, rows(("JOB", "0")), "is answered in another form: ValueError"),
    ],
)
def test_what_is_no_answer_is_not_believed(snowflake: type[Answers], status: int, body: bytes, why: str) -> None:
    snowflake.status, snowflake.body = status, body
    with pytest.raises(NotKnown, match=f"^SHOW SERVICE INSTANCES {why}"):
        peers.by_statement()
    assert (peers.statuses(), peers.status_of(0)) == ({}, None)


def test_an_answer_that_breaks_off_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            # No status line, as of a proxy that closes connections.
            for said in (b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf"):
                connection, _ = server.accept()
                with connection:
                    # All of the request, so that the end of the connection is no reset.
                    received = b""
                    while b'"timeout"' not in received:
                        received += connection.recv(65536)
                    connection.sendall(said)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        address = {"HOST": "127.0.0.1", "PORT": str(server.getsockname()[1]), "PROTOCOL": "http", "SERVICE_NAME": "JOB"}
        for name, value in {**address, "TOKEN_FILE_PATH": str(tmp_path / "token")}.items():
            monkeypatch.setenv(f"SNOWFLAKE_{name}", value)
        for _ in range(2):
            with pytest.raises(NotKnown, match="SHOW SERVICE INSTANCES cannot be asked for: .+"):
                peers.by_statement()
        thread.join()


def test_where_nobody_can_be_asked_it_says_why(snowflake: type[Answers], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNOWFLAKE_SERVICE_NAME", 'J"OB')
    with pytest.raises(NotKnown, match="is not the name of a service"):
        peers.by_statement()
    monkeypatch.setenv("SNOWFLAKE_SERVICE_NAME", "JOB")
    monkeypatch.setenv("SNOWFLAKE_TOKEN_FILE_PATH", "/no/such/token")
    with pytest.raises(NotKnown, match="cannot be asked for: .*No such file"):
        peers.by_statement()
    monkeypatch.delenv("SNOWFLAKE_HOST")
    with pytest.raises(NotKnown, match="this is no container of Snowflake's"):
        peers.by_statement()
    assert not snowflake.asked


SAYS = """
import json, os
from airflow_provider_snowflake_batch.worker.cluster import peers
print(json.dumps([peers.by_dns_name(), peers.addresses(), peers.statuses()]), flush=True)
"""


def test_a_container_of_the_local_snowflake_hears_of_the_others(
    snowflake_connection: str, local_server: LocalServer
) -> None:
    """Of one that has no node yet, too."""
    with SnowflakeBatchHook(snowflake_connection) as hook, faults_of(local_server) as faults:
        hook.run("CREATE COMPUTE POOL IF NOT EXISTS PEERS MIN_NODES = 1 MAX_NODES = 2 INSTANCE_FAMILY = CPU_X64_S")
        job = container_job(hook, Identifier("PEERS"), "python", "-c", SAYS, replicas=2)
        late = faults.add("late-replica", replica=1, seconds=0, job=job.name.name)
        hook.submit(job)
        deadline = time.monotonic() + 120
        while not (said := logs_of(hook, job)) and time.monotonic() < deadline:
            time.sleep(0.2)
        faults.clear(late)
        assert json.loads(said) == [[], ["127.0.0.2"], {"0": "READY", "1": "PENDING"}]
        assert hook.wait(job.name).status is JobStatus.DONE


def logs_of(hook: SnowflakeBatchHook, job: ContainerJob) -> str:
    # Snowflake may not know a job yet that was just sent to it.
    with contextlib.suppress(JobNotFoundError):
        return hook.logs(job.name)
    return ""


def test_where_the_note_is_wrong_replica_0_is_found_among_the_services_addresses(tmp_path: Path) -> None:
    rendezvous, time_, asked = Rendezvous(tmp_path), [0.0], []
    leader = Leader(Place("127.0.0.2", _free_ports()), rendezvous, 2, {}, TIMEOUTS)
    (path,) = tmp_path.glob("_replicas-*")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"address": "127.0.0.77"}))

    def elsewhere() -> list[str]:
        asked.append(time_[0])
        return ["127.0.0.78", "127.0.0.2"]

    def later(seconds: float) -> None:
        time_[0] += seconds

    try:
        announcement, channel = find(  # type: ignore[misc]
            rendezvous,
            TIMEOUTS,
            lambda one: connect(one.address, one.port, one.key, 5.0),
            lambda: time_[0],
            later,
            elsewhere,
        )
        assert (announcement.address, announcement.run, len(asked)) == ("127.0.0.2", leader.announcement.run, 1)
        # Most runs need not ask.
        assert asked[0] >= 15
        channel.close()
    finally:
        leader.end(RunEnd())


def test_what_was_tried_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    time_ = [0.0]

    def later(seconds: float) -> None:
        time_[0] += seconds

    def refused(announcement: Announcement) -> Any:
        raise ConnectionRefusedError

    def search() -> Any:
        return find(Rendezvous(tmp_path), TIMEOUTS, refused, lambda: time_[0], later, lambda: ["10.0.0.8", "10.0.0.9"])

    monkeypatch.setattr(peers, "status_of", lambda replica: "PENDING" if replica == 0 else None)
    with pytest.raises(
        ClusterError, match=r"^replica 0 has not come within 720 s; SHOW SERVICE INSTANCES says PENDING of it$"
    ):
        search()
    Rendezvous(tmp_path).announce("10.0.0.9", 12001)
    with pytest.raises(
        Unreachable, match=r"nobody answers there, nor at the other addresses of the service, 10\.0\.0\.8$"
    ):
        search()


def test_with_who_is_missing_stands_what_snowflake_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "statuses", lambda: {0: "READY", 1: "PENDING", 2: "FAILED"})
    leader = Leader(Place("127.0.0.2", _free_ports()), Rendezvous(tmp_path), 4, {}, Timeouts(rendezvous=0.0))
    try:
        with pytest.raises(
            ClusterError, match=r"^not come within 0 s: replicas 1 \(PENDING\), 2 \(FAILED\), 3 of 4\. "
        ):
            leader.missing(2, str)
    finally:
        leader.end(RunEnd())
