"""The local Snowflake as a process of its own, started and stopped from Python: for tests, and for scripts.

It imports nothing of the server, which may run in another environment.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# fakesnow and snowflake-ml-python do not work with every driver that a client may have, so the server and its jobs can
# run from another environment.
_PYTHON_VARIABLE = "LOCAL_SNOWFLAKE_PYTHON"
_READY = re.compile(r"^Local Snowflake:\s+http://127\.0\.0\.1:(\d+)", re.MULTILINE)


def server_python() -> str:
    """The Python that the server runs with."""
    return os.environ.get(_PYTHON_VARIABLE) or sys.executable


class LocalServer:
    """Starts and stops ``python -m airflow_provider_snowflake_batch.local``; a context manager.

    The server ends with this process, also when this process is killed. It runs with the Python that the environment
    variable ``LOCAL_SNOWFLAKE_PYTHON`` names, by default with this one.

    :param state_dir: everything it keeps; kept between starts, so a second ``start`` continues where the first ended.
    :param port: on 127.0.0.1; 0 takes a free one, which the next starts keep.
    :param environment: further environment variables.
    """

    def __init__(self, state_dir: Path, port: int = 0, environment: dict[str, str] | None = None) -> None:
        self.state_dir = Path(state_dir)
        self.port = port
        self.environment = environment or {}
        self.process: subprocess.Popen[bytes] | None = None
        self.log = self.state_dir.with_name(f"{self.state_dir.name}.log")

    def start(self, seconds: float = 30) -> LocalServer:
        """Start it and wait until it answers.

        :param seconds: how long to wait.
        :raises RuntimeError: it has not started by then, or ended; the message holds what it printed.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    server_python(), "-m", "airflow_provider_snowflake_batch.local",
                    "--port", str(self.port), "--state-dir", str(self.state_dir), "--stop-at-eof",
                ],
                # The pipe's other end closes when this process ends, even if it is killed.
                stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                env=os.environ | self.environment,
            )  # fmt: skip
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if match := _READY.search(self.output()):
                self.port = int(match[1])
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"The local Snowflake did not start:\n{self.output()}")

    def output(self) -> str:
        """What the server has printed since its last start."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self, seconds: float = 20) -> int | None:
        """Stop it as Ctrl+C does.

        :param seconds: how long to wait before it is killed.
        :return: the exit status, None if it did not run.
        :raises subprocess.TimeoutExpired: it had to be killed.
        """
        return self._end(signal.SIGTERM, seconds)

    def kill(self) -> int | None:
        """End it without a chance to clean up."""
        return self._end(signal.SIGKILL, 10)

    def _end(self, with_signal: signal.Signals, seconds: float) -> int | None:
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process = None

    @property
    def airflow_connection(self) -> dict[str, Any]:
        """The Airflow connection to it, of type ``snowflake``, as a dict."""
        loaded: dict[str, Any] = json.loads((self.state_dir / "connection.json").read_text())
        return loaded

    @property
    def certificates(self) -> Path:
        """What a client must trust to speak HTTPS with the server."""
        return self.state_dir / "tls" / "ca-bundle.pem"

    @property
    def airflow_connection_json(self) -> str:
        """The value for ``AIRFLOW_CONN_SNOWFLAKE_DEFAULT``."""
        return json.dumps(self.airflow_connection)

    @property
    def connection_kwargs(self) -> dict[str, Any]:
        """For ``snowflake.connector.connect`` and Snowpark's ``Session.builder.configs``."""
        connection = self.airflow_connection
        return {
            "user": connection["login"],
            "password": connection["password"],
            "schema": connection["schema"],
            **connection["extra"],
        }

    def __enter__(self) -> LocalServer:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()
