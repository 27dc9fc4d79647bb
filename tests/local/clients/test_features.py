"""Every client that is installed, with every feature of the catalogue, over the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.local.clients.catalogue import Client, Feature, clients, place

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def cases() -> Iterator[Any]:
    for client in clients():
        for protocol in client.protocols:
            if not client.is_installed:
                reason = f"{client.title} is not installed here"
                yield pytest.param(client, protocol, id=f"{client.module}-{protocol}", marks=pytest.mark.skip(reason))
                continue
            for feature in client.features:
                yield pytest.param(feature, protocol, id=f"{feature.id}-{protocol}")


@pytest.mark.parametrize(("feature", "protocol"), list(cases()))
def test_feature(
    feature: Feature | Client, protocol: str, local_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(feature, Feature)
    for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(variable, str(local_server.certificates))
    with place(local_server.state_dir, protocol) as local:
        feature.run(local)
