from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.contract.cluster import DEFAULT_PORTS, PORT_COUNT, format_ports, parse_ports


@pytest.mark.parametrize("ports", [DEFAULT_PORTS, range(1024, 1024 + PORT_COUNT), range(32768 - PORT_COUNT, 32768)])
def test_a_range_comes_back_as_it_was_written(ports: range) -> None:
    assert parse_ports(format_ports(ports)) == ports
    assert parse_ports(f" {format_ports(ports)}\n") == ports


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12001",
        "12001-",
        "12001-12040-12080",
        "a-b",
        "١٢٠٠١-١٢٠٤٠",
        "-1-40",
        # Too few, and in the wrong order.
        "12001-12039",
        "12040-12001",
        # Below what a user may listen on, and among the ports that the kernel gives away.
        "1023-1100",
        "32700-32768",
        "65500-65540",
        "99999-100100",
    ],
)
def test_what_is_no_range_for_a_replica(text: str) -> None:
    with pytest.raises(ValueError, match="ports"):
        parse_ports(text)
