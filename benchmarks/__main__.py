"""``make bench``: every measurement, of a size that ends soon; at the sizes that are goals with ``--full``.

Each is a script of its own (``python -m benchmarks.worker_throughput --help``) and runs in a process of its own. One
that fails does not keep the others from running. The files that they leave in benchmarks/results say what size they
are of.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from typing import NoReturn

# What each is given in a short round, and in a full one beside its own defaults.
MEASUREMENTS: dict[str, tuple[list[str], list[str]]] = {
    "dag_parse": ([], []),
    "worker_throughput": ([], []),
    "stages": ([], []),
    "mixed_table": (["--files", "2", "--repeats", "1"], []),
    "registry_models": (["--quick"], []),
    "wide_table": (["--quick"], []),
    "text_lengths": (["--rows", "2000", "--repeats", "1"], []),
    "xgboost_rate": (["--rows", "4000000"], []),
    "images": (["--files", "5000", "--repeats", "1"], ["--repeats", "5"]),
    "device_bound": (["--batches", "200", "--repeats", "3"], []),
    "peak_memory": (["--small-gb", "1", "--large-gb", "5"], []),
    "small_files": (["--files", "40000"], []),
    "replicas": (["--quick"], []),
    "kill_resume": (["--kills", "60"], []),
    "local_snowflake": (["--statements", "2000"], []),
    "local_jobs": (["--jobs", "2000"], []),
    "container_start": ([], []),
    "first_result": (["--quick"], []),
    "unload": ([], []),
    "trigger_latency": ([], []),
    "trigger_polling": (["--jobs", "200", "--seconds", "30"], ["--jobs", "10000", "--stock-jobs", "1000"]),
    "pages": (["--cards", "2000", "--repeats", "3"], ["--cards", "100000"]),
    "peers": (["--rows", "1000000"], []),
}


def _end(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def run(name: str, arguments: list[str]) -> int:
    """One measurement; it is ended, and its files are removed, when this process is asked to end."""
    process = subprocess.Popen([sys.executable, "-m", f"benchmarks.{name}", *arguments])
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="at the sizes that the documentation states; takes long")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}; all if left out")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(MEASUREMENTS))
    if unknown:
        parser.error(f"there is no measurement {unknown[0]!r}")
    signal.signal(signal.SIGTERM, _end)
    failed = []
    for name, (short, full) in MEASUREMENTS.items():
        if options.names and name not in options.names:
            continue
        print(f"--- {name}", flush=True)
        begun = time.monotonic()
        if run(name, full if options.full else short):
            failed.append(name)
        print(f"--- {name}: {time.monotonic() - begun:.0f} s\n", flush=True)
    if failed:
        print(f"Failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
