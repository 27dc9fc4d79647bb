"""The network of a job's replicas: what the container's specification declares and the worker listens on, and by what a
container reaches Snowflake.

Between the containers of a service only declared endpoints are open. Ports from 32768 on are left out, since the kernel
gives them to any process:
https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services
"""

from __future__ import annotations

import re

PORTS_VARIABLE = "WORKER_PORTS"
"""Environment variable of the container: the ports, as ``first-last``."""
ADDRESS_VARIABLE = "WORKER_ADDRESS"
"""Environment variable of the container: its address, where others do not reach it by the address of its host name."""

SERVICE_VARIABLE = "SNOWFLAKE_SERVICE_NAME"
"""Environment variable of every container: the job's name in its schema."""
HOST_VARIABLE = "SNOWFLAKE_HOST"
PORT_VARIABLE = "SNOWFLAKE_PORT"
PROTOCOL_VARIABLE = "SNOWFLAKE_PROTOCOL"
TOKEN_FILE_VARIABLE = "SNOWFLAKE_TOKEN_FILE_PATH"
"""Environment variables of every container: where Snowflake answers, and, where it is not `TOKEN_FILE`, its token."""
TOKEN_FILE = "/snowflake/session/token"
"""Where a container finds a token to log in with:
https://docs.snowflake.com/en/developer-guide/snowpark-container-services/spcs-execute-sql"""

PORT_COUNT = 40
"""How many ports a replica needs at least: each process of Ray listens on one, and each actor."""
DEFAULT_PORTS = range(12001, 12001 + PORT_COUNT)
_LOWEST, _BELOW = 1024, 32768


def parse_ports(text: str) -> range:
    """Read a range of ports.

    :param text: such as ``12001-12040``.
    :raises ValueError: it is no range, too short a one, or leaves the ports that a service may declare.
    """
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text.strip(), re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not a range of ports such as {format_ports(DEFAULT_PORTS)}")
    found = range(int(match[1]), int(match[2]) + 1)
    if len(found) < PORT_COUNT:
        raise ValueError(f"{text} has {len(found)} ports, and replicas need {PORT_COUNT}")
    if found[0] < _LOWEST or found[-1] >= _BELOW:
        raise ValueError(f"{text} leaves the ports {_LOWEST}-{_BELOW - 1}")
    return found


def format_ports(ports: range) -> str:
    """A range of ports as text."""
    return f"{ports[0]}-{ports[-1]}"


def show_instances(service: str) -> str:
    """The statement by which a replica asks for the others.

    :param service: the job's name, without its schema; names in quotes are not supported for services.
    :raises ValueError: it is no such name.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", service, re.ASCII):
        raise ValueError(f"{service!r} is not the name of a service")
    return f"SHOW SERVICE INSTANCES IN SERVICE {service}"
