"""``python -m airflow_provider_snowflake_batch.local fault``: list, set and clear faults of a running server."""

# A command: what it says, it prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.local.faults.kinds import KINDS, SELECTORS

_PATH = "/local/faults"
_SELECTOR_HELP = {
    "statement": "only for statements in which this regular expression is found",
    "path": "only for requests in whose path this regular expression is found, for example login-request",
    "job": "only for jobs in whose database.schema.name this regular expression is found",
}


def main(arguments: list[str], default_state_dir: Path) -> int:
    """Exit status 0; 1 if the server refuses; 2 if there is none."""
    options = vars(_parser(default_state_dir).parse_args(arguments))
    state_dir, command = options.pop("state_dir"), options.pop("command")
    try:
        connection = json.loads((state_dir.expanduser() / "connection.json").read_text())
    except FileNotFoundError:
        print(f"No local Snowflake has been started with the state directory {state_dir}.", file=sys.stderr)
        return 2
    method, path, body = {
        "list": ("GET", _PATH, None),
        "add": ("POST", _PATH, {name: value for name, value in options.items() if value is not None}),
        "clear": ("DELETE", _PATH if options.get("id") is None else f"{_PATH}/{options['id']}", None),
    }[command]
    try:
        answer = _ask(connection, method, path, body)
    except urllib.error.HTTPError as error:
        print(json.loads(error.read())["error"], file=sys.stderr)
        return 1
    except OSError as error:
        reason = getattr(error, "reason", error)
        print(f"The local Snowflake of {state_dir} does not answer: {reason}", file=sys.stderr)
        return 2
    for fault in answer if isinstance(answer, list) else [answer]:
        print(json.dumps(fault))
    return 0


def _ask(connection: dict[str, Any], method: str, path: str, body: dict[str, Any] | None) -> Any:
    request = urllib.request.Request(
        f"http://{connection['extra']['host']}:{connection['extra']['port']}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {connection['password']}"},
    )
    # A proxy of the environment knows nothing of this machine's own addresses.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return json.load(response)


def _parser(default_state_dir: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_snowflake_batch.local fault", description=__doc__)
    parser.add_argument("--state-dir", type=Path, default=default_state_dir, help="of the server (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the faults that are set, one JSON object a line, and how often each one fired")
    clear = commands.add_parser("clear", help="take all faults back, or one")
    clear.add_argument("id", type=int, nargs="?", help="the fault's id, as list shows it")
    add = commands.add_parser("add", help="set a fault")
    kinds = add.add_subparsers(dest="kind", required=True)
    for kind in KINDS.values():
        one = kinds.add_parser(kind.name, help=kind.what, description=kind.what)
        for name, default in kind.parameters.items():
            one.add_argument(f"--{name}", type=type(default), help=f"(default: {default})")
        for selector in SELECTORS[kind.where]:
            one.add_argument(f"--{selector}", metavar="REGEX", help=_SELECTOR_HELP[selector])
        one.add_argument("--count", type=int, help="fire so many times at most (default: without limit)")
        one.add_argument("--probability", type=float, help="of each chance to fire, 0 to 1 (default: 1)")
        one.add_argument("--seed", type=int, help="of the probability (default: a new one)")
    return parser
