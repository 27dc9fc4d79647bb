"""The same work by Ray Data on a cluster of nodes of this machine: what ``benchmarks.replicas`` compares with.

python ray_data_run.py SOURCE TARGET CALLS NODES, by a Python that has Ray. Prints one line of JSON.

Each node has a CPU for the actor with the model and one for what reads and writes: with less, Ray Data waits for ever.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SECONDS = 0.02
BATCH_ROWS = 4096
HEAD, PORT = "127.0.0.2", 32100


def main(source: str, target: str, calls: str, nodes: int) -> None:
    begun = time.time()
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(HERE)}
    base = [sys.executable, "-m", "ray.scripts.scripts", "start", "--num-cpus=2", '--resources={"device": 1}']
    base += ["--object-store-memory=200000000", "--disable-usage-stats"]
    for node in range(nodes):
        place = ["--head", f"--port={PORT}", "--include-dashboard=false"] if not node else [f"--address={HEAD}:{PORT}"]
        command = [*base, *place, f"--node-ip-address=127.0.0.{node + 2}"]
        subprocess.run(
            command,
            env={**environment, "SNOWFLAKE_JOB_INDEX": str(node)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    os.environ.update(environment)
    import ray
    from replica_device import Device  # type: ignore[import-not-found]

    ray.init(address=f"{HEAD}:{PORT}", _node_ip_address=HEAD, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False

    class Actor(Device):  # type: ignore[misc]
        def __call__(self, rows):  # type: ignore[no-untyped-def]
            return rows[["ID"]].assign(**self.predict(rows))

    ray.data.read_parquet(source).map_batches(
        Actor,
        batch_size=BATCH_ROWS,
        batch_format="pandas",
        concurrency=nodes,
        num_cpus=1,
        resources={"device": 1},
        fn_constructor_kwargs={"seconds": SECONDS, "folder": calls, "replicas": nodes},
    ).write_parquet(target)
    print(json.dumps({"ray": ray.__version__, "seconds": time.time() - begun}))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
