"""What Snowflake says of this job's replicas: by its service's DNS name, or by ``SHOW SERVICE INSTANCES`` from inside.

It is asked only where a replica cannot tell its own address, or cannot reach replica 0, and for what has become of one
that has not come. Whoever answers at such an address still has to prove that it knows the secret of the run.

DNS names: https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services; statements
from inside, which need no driver: …/spcs-execute-sql, https://docs.snowflake.com/en/developer-guide/sql-api/reference
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.contract.cluster import (
    HOST_VARIABLE,
    PORT_VARIABLE,
    PROTOCOL_VARIABLE,
    SERVICE_VARIABLE,
    TOKEN_FILE,
    TOKEN_FILE_VARIABLE,
    show_instances,
)

_SECONDS = 10.0
_MOST_BYTES = 1 << 20
_SHOWN = 300


class NotKnown(Exception):
    """Snowflake cannot be asked, or does not say. The text is why."""


@dataclass(frozen=True)
class Instance:
    """A replica, as Snowflake sees it.

    :param status: such as PENDING. :param address: None as long as it has none.
    """

    replica: int
    status: str
    address: str | None


def addresses() -> list[str]:
    """Where this job's replicas are, those that are known: by the DNS name, or else by the statement."""
    found = by_dns_name()
    if not found:
        try:
            found = [one.address for one in by_statement() if one.address]
        except NotKnown:
            return []
    return found


def status_of(replica: int) -> str | None:
    """What Snowflake says of a replica; None where it says nothing."""
    return statuses().get(replica)


def statuses() -> Mapping[int, str]:
    """What Snowflake says of each replica, as far as it does."""
    try:
        return {one.replica: one.status for one in by_statement()}
    except NotKnown:
        return {}


def by_dns_name() -> list[str]:
    """The addresses that the service's DNS name leads to: of all its instances that run, in no order."""
    service = os.environ.get(SERVICE_VARIABLE, "")
    name = f"instances.{service.lower().replace('_', '-')}"
    if not service:
        return []
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(place[4][0]) for place in found})


def by_statement() -> list[Instance]:
    """What ``SHOW SERVICE INSTANCES`` says of this job.

    :raises NotKnown: there is nobody to ask, it is refused, or the answer is another than expected.
    """
    answer = _ask()
    try:
        names = [column["name"].lower() for column in answer["resultSetMetaData"]["rowType"]]
        rows = [dict(zip(names, row, strict=True)) for row in answer["data"]]
        return [
            Instance(int(row["instance_id"]), str(row["status"]), row.get("ip_address") or None)
            for row in rows
            if row["instance_id"] is not None
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotKnown(f"SHOW SERVICE INSTANCES is answered in another form: {error!r}") from None


def _ask() -> Mapping[str, Any]:
    host, service = os.environ.get(HOST_VARIABLE, ""), os.environ.get(SERVICE_VARIABLE, "")
    if not host or not service:
        raise NotKnown(f"{HOST_VARIABLE} and {SERVICE_VARIABLE} are not set: this is no container of Snowflake's")
    protocol, port = os.environ.get(PROTOCOL_VARIABLE, "https"), os.environ.get(PORT_VARIABLE, "")
    url = f"{protocol}://{host}{f':{port}' if port else ''}/api/v2/statements"
    path = os.environ.get(TOKEN_FILE_VARIABLE, TOKEN_FILE)
    try:
        body = {
            "statement": show_instances(service),
            "database": os.environ.get("SNOWFLAKE_DATABASE", ""),
            "schema": os.environ.get("SNOWFLAKE_SCHEMA", ""),
            "timeout": int(_SECONDS),
        }
        headers = {
            # Read each time: it is another one every few minutes.
            "Authorization": f"Bearer {Path(path).read_text(encoding='ascii').strip()}",
            "X-Snowflake-Authorization-Token-Type": "OAUTH",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "airflow-provider-snowflake-batch",
        }
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=_SECONDS) as answered:
            found = json.loads(answered.read(_MOST_BYTES))
    except urllib.error.HTTPError as refused:
        with refused:
            said = refused.read(_SHOWN).decode(errors="replace")
        raise NotKnown(f"SHOW SERVICE INSTANCES is refused ({refused.code}): {said}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise NotKnown(f"SHOW SERVICE INSTANCES cannot be asked for: {reason}") from None
    if not isinstance(found, dict):
        raise NotKnown("SHOW SERVICE INSTANCES is answered in another form")
    return found
