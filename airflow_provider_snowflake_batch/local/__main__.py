"""``python -m airflow_provider_snowflake_batch.local``: start the local Snowflake on 127.0.0.1."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sqlite3
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.server import LocalSnowflake

HOST = "127.0.0.1"
_STATE_DIR = Path(os.environ.get("LOCAL_SNOWFLAKE_STATE_DIR", ".local-snowflake"))
# What the driver can do without, and only its clients use.
_OPTIONAL_FOR_DRIVER = ("boto3", "botocore", "pandas")


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["fault"]:
        from airflow_provider_snowflake_batch.local.faults import cli

        return cli.main(words[1:], _STATE_DIR)
    options = _parser().parse_args(arguments)
    state_dir: Path = options.state_dir
    if options.print_connection:
        return _print_connection(state_dir)
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        listening = socket.create_server((HOST, options.port))
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"Port {options.port} on {HOST} cannot be used: {reason}. Choose another with --port.", file=sys.stderr)
        return 2
    # What is imported stays; looking through it for garbage again and again is a fifth of the time that a start takes.
    gc.disable()
    try:
        started = _start(state_dir, listening.getsockname()[1])
    finally:
        gc.enable()
    if started is None:
        return 2
    gc.freeze()
    try:
        _serve(*started, listening, stop_at_eof=options.stop_at_eof)
    finally:
        # The engine's libraries report what nobody has collected when the process ends.
        gc.unfreeze()
    return 0


def _start(state_dir: Path, port: int) -> tuple[LocalSnowflake, Path] | None:
    """The started server and the file with its connection; None, and a line for the user, if it cannot start."""
    _load_driver()
    import duckdb

    from airflow_provider_snowflake_batch.local.server import LocalSnowflake
    from airflow_provider_snowflake_batch.local.state import StateDirectoryInUse

    # What it writes is nobody else's affair, nor are the files of its jobs.
    os.umask(0o077)
    try:
        server = LocalSnowflake(state_dir)
        server.start(port)
        return server, server.write_connection()
    except StateDirectoryInUse as error:
        print(error, file=sys.stderr)
    except (OSError, duckdb.Error, sqlite3.Error) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        print(
            f"The state directory {state_dir} cannot be used: {reason}. Choose another with --state-dir.",
            file=sys.stderr,
        )
    return None


def _load_driver() -> None:
    """Import the driver, whose classes the engine's library needs, without the third of its libraries' time that goes
    into those that it loads where they are installed.
    """
    hidden = [name for name in _OPTIONAL_FOR_DRIVER if name not in sys.modules]
    # None says that there is no such module.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    # A driver that cannot do without them is loaded with them afterwards, by who needs it.
    with contextlib.suppress(ImportError):
        import snowflake.connector  # noqa: F401
    for name in hidden:
        del sys.modules[name]


def _serve(server: LocalSnowflake, connection_file: Path, listening: socket.socket, *, stop_at_eof: bool) -> None:
    """Answer until the process is told to stop."""
    import uvicorn

    from airflow_provider_snowflake_batch.local.protocol.listener import HttpAndHttps

    def ready() -> None:
        connection = json.dumps(server.airflow_connection())
        print(f"Local Snowflake:     http://{HOST}:{server.port}, also https://{HOST}:{server.port}", flush=True)
        print(f"State directory:     {server.state.path}", flush=True)
        print(f"Connection file:     {connection_file}", flush=True)
        print(f"Airflow connection:  export AIRFLOW_CONN_SNOWFLAKE_DEFAULT='{connection}'", flush=True)
        bundle = server.certificates.bundle
        print(f"Trust it over HTTPS: export REQUESTS_CA_BUNDLE='{bundle}' SSL_CERT_FILE='{bundle}'", flush=True)
        print(f"Stop:                Ctrl+C, or kill {os.getpid()}", flush=True)

    config = uvicorn.Config(
        server.app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=300,
        lifespan="off",
    )
    # uvicorn raises the signal that ended it once more, and SIGTERM's own way would end the process before its jobs.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if stop_at_eof:
        threading.Thread(target=_stop_at_eof, daemon=True).start()
    try:
        HttpAndHttps(config, listening, server.certificates.context(), ready).run()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_snowflake_batch.local",
        description=__doc__,
        epilog="With the first word 'fault' it makes a running server misbehave: see 'fault --help'.",
    )
    parser.add_argument(
        "--port", type=int, default=8085, help="port on 127.0.0.1; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=_STATE_DIR,
        help="everything it keeps (default: $LOCAL_SNOWFLAKE_STATE_DIR or %(default)s)",
    )
    parser.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])
    parser.add_argument(
        "--stop-at-eof",
        action="store_true",
        help="stop when standard input ends: with a pipe, when the process at its other end has ended in any way",
    )
    parser.add_argument(
        "--print-connection",
        action="store_true",
        help="print the Airflow connection (JSON) that the last start wrote to the state directory, and exit",
    )
    return parser


def _stop_at_eof() -> None:
    # Unbuffered: a lock of sys.stdin's would be held for ever and disturb the interpreter's end.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _print_connection(state_dir: Path) -> int:
    path = state_dir.expanduser() / "connection.json"
    if not path.exists():
        print(f"{path} is missing: no local Snowflake has been started with this state directory.", file=sys.stderr)
        return 2
    print(json.dumps(json.loads(path.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
