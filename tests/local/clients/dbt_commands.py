"""Runs dbt's commands one after another in one process, in an environment that has dbt but none of this project.

Each line of the input is a command, as a JSON list; each line of the output says what it did, as a JSON object.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from dbt.cli.main import dbtRunner


def outcome(arguments: list[str]) -> dict[str, Any]:
    done = dbtRunner().invoke(["--quiet", *arguments])
    results = getattr(done.result, "results", None) or []
    return {
        "command": arguments,
        "success": done.success,
        "exception": repr(done.exception) if done.exception else None,
        "failures": [f"{one.node.name}: {one.message}" for one in results if str(one.status) in ("error", "fail")],
        "nodes": [one.node.name for one in results if hasattr(one, "node")],
    }


def main() -> None:
    for line in sys.stdin:
        # What dbt prints goes to the same stream, in lines of its own.
        print("\nOUTCOME " + json.dumps(outcome(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
