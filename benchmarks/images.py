"""Files through RAW_BYTES into decoding and a small network, against the same on bytes that are in memory.

Once from the local disk, once with 20 ms added to each opening of a file.

    python -m benchmarks.images --files 20000
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import median, rounded, save
from benchmarks.scratch import scratch
from benchmarks.slow_open import slow_openings
from benchmarks.worker_run import python_model, run_worker

STAGE = "BENCHMARK.PUBLIC.IMAGES"
DISTINCT = 200
DELAY = 0.02
# One call's rows where everything is in memory.
BATCH_ROWS = 32
# A run of so few tells what starting costs. With fewer, the first process has done all before the next has loaded.
FEW = 1024


def _limit(network: Path, files: list[Path], barrier: Barrier, cpu: Any) -> None:
    from benchmarks.image_model import Images

    model = Images(str(network))
    contents = [path.read_bytes() for path in files]
    model.score(contents[:2])
    barrier.wait()
    begun = time.process_time()
    for start in range(0, len(contents), BATCH_ROWS):
        model.score(contents[start : start + BATCH_ROWS])
    cpu.put(time.process_time() - begun)
    barrier.wait()


def measure_limit(network: Path, files: list[Path], processes: int) -> dict[str, float]:
    """Processes that hold their share of the files in memory and do nothing but decode and predict."""
    context = multiprocessing.get_context("spawn")
    barrier, cpu = context.Barrier(processes + 1), context.SimpleQueue()
    # Daemons end with this process, if that is interrupted.
    workers = [
        context.Process(target=_limit, args=(network, files[number::processes], barrier, cpu), daemon=True)
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    begun = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - begun
    for worker in workers:
        worker.join()
    return {"seconds": seconds, "cpu": sum(cpu.get() for _ in workers)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.files < 2 * FEW:
        parser.error(f"--files must be at least {2 * FEW}")
    from benchmarks.image_model import jpeg, write_network

    processes = len(os.sched_getaffinity(0))
    runs: dict[str, list[dict[str, float]]] = {"limit": [], "disk": [], "delayed": []}
    with scratch("images") as folder:
        (folder / "stage").mkdir()
        (folder / "input").mkdir()
        network = folder / "network.onnx"
        write_network(network)
        contents = [jpeg(number) for number in range(DISTINCT)]
        paths = [folder / "stage" / f"{number:06d}.jpg" for number in range(options.files)]
        for number, path in enumerate(paths):
            path.write_bytes(contents[number % DISTINCT])
        rows = pa.table({"ID": list(range(len(paths))), "IMAGE": [f"@{STAGE}/{path.name}" for path in paths]})
        pq.write_table(rows, folder / "input" / "rows.parquet")
        (folder / "few").mkdir()
        pq.write_table(rows.slice(0, FEW), folder / "few" / "rows.parquet")
        model = python_model("image_model:Images", path=str(network))
        slow, how = slow_openings(folder / "stage", DELAY, folder)

        def score(name: str, environment: dict[str, str]) -> dict[str, float]:
            return run_worker(
                folder / name,
                folder / "out",
                model,
                inference={"num_workers": processes},
                input_more={"column_handling": {"IMAGE": {"convert_to": "RAW_BYTES"}}},
                stages={STAGE: str(folder / "stage")},
                environment=environment,
            )

        for _ in range(options.repeats):
            limit = measure_limit(network, paths, processes)
            runs["limit"].append(limit)
            for way, environment in (("disk", {}), ("delayed", slow)):
                # Processor time for starting and loading is no part of scoring, as it is no part of the limit's: what
                # counts is that of the files by which two runs differ.
                few = min(score("few", environment)["cpu"] for _ in range(2))
                run = score("input", environment)
                cpu = (run["cpu"] - few) * len(paths) / (len(paths) - FEW)
                runs[way].append({**run, "cpu": cpu, "starting": run["cpu"] - cpu})

    def share(way: str, clock: str) -> float:
        return median(limit[clock] / run[clock] for limit, run in zip(runs["limit"], runs[way], strict=True))

    save(
        "images",
        f"{options.files:,} JPEG of 256×256 as RAW_BYTES, decoded and classified, {processes} processes",
        {
            "share of the limit, local disk": share("disk", "seconds"),
            "share of the limit, 20 ms an opening": share("delayed", "seconds"),
            "by CPU time, local disk": share("disk", "cpu"),
            "by CPU time, 20 ms an opening": share("delayed", "cpu"),
            "files/s, limit": options.files / median(run["seconds"] for run in runs["limit"]),
        },
        {"share of the limit, local disk": 0.9, "share of the limit, 20 ms an opening": 0.85},
        delay=how,
        runs={way: [rounded(run) for run in measured] for way, measured in runs.items()},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
