"""The tables of docs/clients.md list what the catalogue has: no feature is missing, none is left over."""

from __future__ import annotations

import re

import pytest

from scripts.clients_table import BEGIN, END, PAGE
from tests.local.clients.catalogue import ABSENT, REFUSED, WORKS, Client, clients


def tables() -> dict[str, dict[str, list[str]]]:
    """The outcomes by the client's heading and the feature's name."""
    generated = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    found: dict[str, dict[str, list[str]]] = {}
    for section in re.split(r"^## ", generated, flags=re.MULTILINE)[1:]:
        title, *lines = section.splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
        found[title] = {name: outcomes for name, *outcomes in rows[2:]}
    return found


def test_every_client_has_its_table() -> None:
    assert list(tables()) == [client.title for client in clients()]


@pytest.mark.parametrize("client", clients(), ids=lambda client: client.module)
def test_a_table_lists_the_clients_features(client: Client) -> None:
    table = tables()[client.title]
    assert list(table) == [feature.name for feature in client.features]
    for feature in client.features:
        allowed = {REFUSED} if feature.refused else {WORKS}
        assert set(table[feature.name]) <= allowed | {ABSENT}, feature.name
        assert set(table[feature.name]) & allowed, feature.name
