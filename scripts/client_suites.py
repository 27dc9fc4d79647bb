"""Run a client's own test suite against the local Snowflake and count what comes of it.

It fetches nothing: give it the folder of a suite, and a Python that has the client and what the suite needs, e.g. for
snowflake-sqlalchemy 1.11.1 its source distribution from PyPI (the tests are in it) and

    pip install snowflake-sqlalchemy==1.11.1 'sqlalchemy<2.1' 'snowflake-connector-python[pandas]==4.8.1' \\
        pytest pytest-timeout syrupy
    python -m scripts.client_suites --python ENV/bin/python --suite snowflake_sqlalchemy-1.11.1 tests -- \\
        --ignore=tests/sqlalchemy_test_suite --ignore=tests/alembic_integration

Those of snowflake-connector-python (test/integ, tag v4.8.1) and Snowpark (tests/integ, tag v1.56.0) are in their
repositories only; they read `parameters.py`, which is written beside their tests while they run.
"""

from __future__ import annotations

import argparse
import collections
import os
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.local.server_process import LocalServer

REFUSAL = "not supported by the local Snowflake"
KEYS = ("account", "user", "password", "database", "schema", "host", "port", "protocol", "warehouse", "role")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="of the environment with the client and pytest")
    parser.add_argument("--suite", type=Path, required=True, help="the client's sources")
    parser.add_argument("tests", nargs="+", help="folders and files in it, and pytest's options after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LocalServer(Path(folder) / "state") as server:
        options = server.connection_kwargs
        parameters = {key: str(options[key]) for key in KEYS}
        report = Path(folder) / "report.xml"
        environment = os.environ | {f"SNOWFLAKE_{key.upper()}": value for key, value in parameters.items()}
        environment |= dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(server.certificates))
        with parameters_file(arguments.suite / arguments.tests[0], parameters):
            command = [
                arguments.python.absolute(), "-m", "pytest", "-q", "--timeout=120", "-p", "no:cacheprovider",
                f"--junitxml={report}", *arguments.tests,
            ]  # fmt: skip
            subprocess.run(command, cwd=arguments.suite, env=environment, check=False)
        counts, others = count(report)
    for other in others:
        print("differs:", other)
    print(" · ".join(f"{name} {number}" for name, number in sorted(counts.items())))


@contextmanager
def parameters_file(tests: Path, parameters: dict[str, str]) -> Iterator[None]:
    """What the suites read; one that is there already would lead them elsewhere."""
    folder = tests if tests.is_dir() else tests.parent
    file = folder / "parameters.py"
    if file.exists():
        raise SystemExit(f"{file} is there already: take it away first.")
    file.write_text(f"CONNECTION_PARAMETERS = {parameters | {'port': int(parameters['port'])}!r}\n")
    try:
        yield
    finally:
        file.unlink()


def count(report: Path) -> tuple[dict[str, int], list[str]]:
    """How many tests passed, were skipped, were refused in the server's words or differ, and the names of the last."""
    counts: collections.Counter[str] = collections.Counter()
    others = []
    for case in ET.parse(report).iter("testcase"):
        failure: Any = case.find("failure")
        failure = case.find("error") if failure is None else failure
        if case.find("skipped") is not None:
            counts["skipped"] += 1
        elif failure is None:
            counts["passed"] += 1
        elif REFUSAL in " ".join(f"{failure.get('message')} {failure.text}".split()):
            counts["refused"] += 1
        else:
            counts["differs"] += 1
            message = " ".join(str(failure.get("message")).split())
            others.append(f"{case.get('classname')}.{case.get('name')}: {message[:160]}")
    return dict(counts), others


if __name__ == "__main__":
    main()
