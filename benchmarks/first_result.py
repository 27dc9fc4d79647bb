"""How soon the first row of a small job is written: from the answer to EXECUTE INFERENCE JOB SERVICE, local Snowflake.

The models are logged by the real client: a custom model of one line, and a linear regression of scikit-learn, whose
libraries take longer to import than all else. A job scores 900 rows, so what it takes is start-up alone. Beside each,
in turn: a fresh Python that loads the same files with the client's own packager and calls the model once, writing
nothing, as anybody would who has no jobs.

A first row counts as written when a part can be read. Where other work had the cores meanwhile, seconds are left out,
and the goal is held against the processor time of all processes of the job: on an idle machine no more passes, and
less where two of them work at once.

    python -m benchmarks.first_result --repeats 5
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import median, rounded, save
from benchmarks.scratch import scratch
from benchmarks.worker_throughput import UNDISTURBED
from benchmarks.worker_throughput import alone as alone_on_machine

ROWS = 900
# Name in the registry → the type that the client gives it.
MODELS = {"CUSTOM": "custom", "SKLEARN": "sklearn"}
GOAL = 1.2
TIMEOUT = 120.0
_LOAD = """
import sys
import pandas as pd
from snowflake.ml.model._packager.model_packager import ModelPackager
packager = ModelPackager(sys.argv[1])
packager.load(as_custom_model=True)
rows = pd.DataFrame({"A": [1.0] * 900, "B": [2.0] * 900})
assert abs(packager.model.predict(rows).iloc[0, 0] - 8) < 1e-9
"""


def log_models(options: dict[str, Any]) -> None:
    """Models with the inputs A and B and the output PREDICTION = 2 * A + 3 * B."""
    import pandas as pd
    from sklearn.linear_model import LinearRegression
    from snowflake.ml.model.model_signature import infer_signature
    from snowflake.ml.registry import Registry
    from snowflake.snowpark import Session

    from benchmarks import custom_linear

    inputs = pd.DataFrame({"A": [0.0, 1.0, 0.0, 1.0], "B": [0.0, 0.0, 1.0, 1.0]})
    outputs = 2 * inputs["A"] + 3 * inputs["B"]
    signature = infer_signature(inputs, outputs.to_frame("PREDICTION"))
    models = {"CUSTOM": custom_linear.Linear(), "SKLEARN": LinearRegression().fit(inputs, outputs)}
    with Session.builder.configs(options).create() as session:
        for name, model in models.items():
            Registry(session).log_model(
                model,
                model_name=name,
                version_name="V1",
                signatures={"predict": signature},
                target_platforms=["SNOWPARK_CONTAINER_SERVICES"],
                ext_modules=[custom_linear],
            )


def one_job(cursor: Any, server: psutil.Process, stage: Path, model: str, name: str) -> dict[str, float]:
    """Seconds from the accepted job to its first row and to its end, and the processor seconds of all its processes."""
    before = _processor_seconds(server)
    begun = time.perf_counter()
    cursor.execute(
        "EXECUTE INFERENCE JOB SERVICE IN COMPUTE POOL P WITH SPECIFICATION "
        "$${output: {stage_location: '@S/out/'}, inference: {num_workers: 1}}$$ "
        f"FROM (SELECT A, B FROM ROWS_IN) MODEL = {model} VERSION = 'V1' NAME = {name} ASYNC = TRUE"
    )
    accepted = time.perf_counter()
    folder = stage / "out" / name
    _wait(lambda: any(_is_whole(path) for path in folder.glob("*.parquet")))
    first = time.perf_counter()
    _wait((folder / "_SUCCESS").exists)
    ended = time.perf_counter()
    scored = pa.concat_tables(pq.read_table(path) for path in folder.glob("*.parquet")).to_pandas()
    if len(scored) != ROWS or not np.allclose(scored["PREDICTION"], 2 * scored["A"] + 3 * scored["B"]):
        raise SystemExit("the rows that were written are not what the model gives")
    _wait(lambda: cursor.execute(f"SHOW JOB SERVICES LIKE '{name}'").fetchone()[1] == "DONE")
    return {
        "accepting": accepted - begun,
        "first": first - accepted,
        "success": ended - accepted,
        "cpu": _processor_seconds(server) - before,
    }


def load_alone(model: Path) -> dict[str, float]:
    """Seconds of a process that loads the model with the client and calls it once."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", _LOAD, str(model)], check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"first": time.perf_counter() - begun, "cpu": spent}


def _processor_seconds(server: psutil.Process) -> float:
    """Those of the server and of all processes that it has waited for."""
    return sum(server.cpu_times()[:4])


def _is_whole(path: Path) -> bool:
    content = path.read_bytes()
    return len(content) > 12 and content.endswith(b"PAR1")


def _wait(until: Any) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not until():
        if time.monotonic() > deadline:
            raise SystemExit(f"the job is not there after {TIMEOUT:.0f} s")
        time.sleep(0.002)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one repeat")
    parser.add_argument(
        "--before", type=float, nargs=2, metavar="SECONDS", help="processor time of both jobs, before a change"
    )
    options = parser.parse_args(arguments)
    import snowflake.connector

    from airflow_provider_snowflake_batch.local.server_process import LocalServer

    jobs: dict[str, list[dict[str, float]]] = {model: [] for model in MODELS}
    alone: dict[str, list[dict[str, float]]] = {model: [] for model in MODELS}
    watched: list[dict[str, float]] = []
    with scratch("first_result") as folder, LocalServer(folder / "state") as server:
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        log_models(server.connection_kwargs)
        with snowflake.connector.connect(**server.connection_kwargs) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE STAGE S ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
            cursor.execute("CREATE COMPUTE POOL P MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S")
            cursor.execute(f"CREATE TABLE ROWS_IN AS SELECT RANGE::DOUBLE AS A, 1::DOUBLE AS B FROM RANGE({ROWS})")
            (stage,) = (path for path in (folder / "state" / "stages").rglob("*") if path.name.upper() == "S")
            # The first ones compile bytecode.
            for number in range(-1, 1 if options.quick else options.repeats):
                for model, word in MODELS.items():
                    loading = load_alone(packed(folder / "state" / "models", word))
                    with alone_on_machine(watched) as run:
                        run |= one_job(cursor, process, stage, model, f"{model}_{number + 1}")
                    job = watched[-1]
                    print(
                        f"{model}: first row {job['first']:.2f} s, the model alone {loading['first']:.2f} s", flush=True
                    )
                    if number >= 0:
                        alone[model].append(loading)
                        jobs[model].append(job)
    disturbed = max(job["others"] for taken in jobs.values() for job in taken) > UNDISTURBED
    clock, what = ("cpu", "processor time of the whole job") if disturbed else ("first", "seconds to the first row")
    goal = f"goal / {what}, {MODELS['CUSTOM']}"
    figures = {goal: GOAL / _median(jobs["CUSTOM"], clock)}
    for model, word in MODELS.items():
        pairs = list(zip(alone[model], jobs[model], strict=True))
        ratio = median(one[clock] / job[clock] for one, job in pairs)
        figures[f"the model alone / the job, {'processor time' if disturbed else 'seconds'}, {word}"] = ratio
        figures[f"processor time of the whole job, s, {word}"] = _median(jobs[model], "cpu")
        if not disturbed:
            figures[f"first row, s, {word}"] = _median(jobs[model], "first")
            figures[f"_SUCCESS, s, {word}"] = _median(jobs[model], "success")
    names = (f"processor time of the whole job, s, {word}, before" for word in MODELS.values())
    figures |= dict(zip(names, options.before or (), strict=False))
    runs = {
        f"{model} {what}": [rounded(run) for run in taken[model]]
        for what, taken in (("job", jobs), ("alone", alone))
        for model in MODELS
    }
    save(
        "first_result",
        f"a job of {ROWS} rows on the local Snowflake, from accepted to its first row, registered models",
        figures,
        {goal: 1.0},
        disturbed=disturbed,
        runs=runs,
    )
    return 0 if figures[goal] >= 1 else 1


def _median(runs: list[dict[str, float]], key: str) -> float:
    return median(run[key] for run in runs)


def packed(models: Path, model_type: str) -> Path:
    """The folder of the one model of this type, as the client has packed it."""
    (found,) = (path.parent for path in models.rglob("model.yaml") if f"model_type: {model_type}\n" in path.read_text())
    return found


if __name__ == "__main__":
    sys.exit(main())
