"""HTTP and HTTPS on one port, and whom the certificate lets in.

Also tests ``local/tls.py``.
"""

from __future__ import annotations

import datetime
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from snowflake.connector.errors import OperationalError

from airflow_provider_snowflake_batch.local import tls
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.local.state import StateDirectory
from airflow_provider_snowflake_batch.local.tls import Certificates


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    state = StateDirectory(tmp_path / "state")
    yield state
    state.close()


def serial(certificates: Certificates) -> int:
    pem = (certificates.bundle.parent / "server.pem").read_bytes()
    return x509.load_pem_x509_certificate(pem).serial_number


@pytest.mark.parametrize("protocol", ["http", "https"])
def test_one_port_speaks_both(
    local_server: LocalServer, connect: Any, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(local_server.certificates))
    connection = connect(protocol=protocol)
    assert connection.cursor().execute("SELECT 1").fetchone() == (1,)
    # More rows than fit into the answer: the rest comes from addresses that the server has made.
    cursor = connection.cursor().execute("SELECT SEQ4() AS N FROM TABLE(GENERATOR(ROWCOUNT => 150000))")
    assert {batch._remote_chunk_info.url.split(":")[0] for batch in cursor.get_result_batches()[1:]} == {protocol}
    assert sum(row[0] for row in cursor) == sum(range(150_000))


def test_localhost_is_the_servers_name_too(
    local_server: LocalServer, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(local_server.certificates))
    connection = connect(protocol="https", host="localhost")
    assert connection.cursor().execute("SELECT 1").fetchone() == (1,)


def test_a_client_that_does_not_trust_it_refuses(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with pytest.raises(OperationalError, match="certificate verify failed"):
        connect(protocol="https", login_timeout=5)


def test_broken_and_silent_clients_disturb_nobody(local_server: LocalServer, connect: Any) -> None:
    address = ("127.0.0.1", local_server.port)
    with socket.create_connection(address) as silent, socket.create_connection(address) as broken:
        broken.sendall(b"\x16\x03\x01\x00\x05hello")
        assert broken.recv(100)[:1] in (b"", b"\x15")  # hung up, or a TLS alert
        with socket.create_connection(address):
            pass
        assert connect().cursor().execute("SELECT 1").fetchone() == (1,)
        assert silent.fileno() >= 0


def test_the_certificate_survives_a_restart_of_the_server(state: StateDirectory) -> None:
    first = Certificates(state)
    bundle = first.bundle.read_text()
    again = Certificates(state)
    assert serial(again) == serial(first)
    assert again.bundle.read_text() == bundle


def test_a_certificate_that_ends_soon_or_is_spoiled_is_replaced(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tls, "VALIDITY", datetime.timedelta(days=30))
        ending = serial(Certificates(state))
    fresh = Certificates(state)
    assert serial(fresh) != ending
    (fresh.bundle.parent / "server.pem").write_text("spoiled")
    assert serial(Certificates(state)) != ending
    fresh.context()


def test_files_are_private_and_no_key_can_sign_more(state: StateDirectory) -> None:
    folder = Certificates(state).bundle.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert [path.name for path in folder.iterdir() if "PRIVATE KEY" in path.read_text()] == ["server.pem"]


def test_the_bundle_keeps_the_usual_authorities_and_limits_the_own_one(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "company.pem"
    own.write_text("# the company's\n")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own))
    bundle = Certificates(state).bundle
    assert bundle.read_text().startswith("# the company's\n")
    context = ssl.create_default_context(cafile=str(bundle))
    assert len(context.get_ca_certs()) == 1
    authority = x509.load_pem_x509_certificate((bundle.parent / "ca.pem").read_bytes())
    permitted = authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
    assert permitted is not None
    assert [str(name.value) for name in permitted] == ["localhost", "127.0.0.0/8", "::1/128"]
