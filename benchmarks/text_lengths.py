"""Texts of uneven length, whose model pads each batch to its longest text.

The texts are the docstrings of installed packages, as many short ones and some long ones as such texts have. The model
is one layer of a transformer in NumPy (`text_model`), called by the worker once with 32 rows as they come, and once
with rows of like lengths (`length_of`), all else alike. Counted is processor time, less that of a run over few rows.

    python -m benchmarks.text_lengths --repeats 5
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import random
import shutil
import statistics
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import median, save
from benchmarks.scratch import scratch
from benchmarks.text_model import tokens
from benchmarks.worker_run import python_model, run_worker

PACKAGES = ("numpy", "pyarrow", "sklearn")
ROWS_AS_THEY_COME = 32
FEW_ROWS = 64
GOAL = 3.0
IN_ORDER, BY_LENGTH = "Embeds", "EmbedsByLength"


def docstrings() -> Iterator[str]:
    """All docstrings of some packages."""
    for package in PACKAGES:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            continue
        for path in sorted(Path(found.origin).parent.rglob("*.py")):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(path.read_bytes())
            for node in ast.walk(tree):
                if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (text := ast.get_docstring(node)):
                    yield text


def run(folder: Path, label: str, model: str, more: dict[str, int]) -> float:
    """Processor seconds of a run."""
    inference = {"num_workers": 1, **more}
    target = folder / "out" / f"{label}-{model}"
    shutil.rmtree(target, ignore_errors=True)
    taken = run_worker(folder / label, target, python_model(f"text_model:{model}"), inference=inference, columns=["ID"])
    return taken["cpu"]


def check(folder: Path) -> None:
    """Both give the same, but for what padding makes of the last digits.

    :raises SystemExit: they do not.
    """
    tables = [pq.read_table(folder / "out" / f"all-{model}") for model in (IN_ORDER, BY_LENGTH)]
    first, second = (np.stack(table["EMBEDDING"].to_numpy(zero_copy_only=False)) for table in tables)
    if not tables[0]["ID"].equals(tables[1]["ID"]) or not np.allclose(first, second, rtol=1e-3, atol=1e-4):
        raise SystemExit("rows of like lengths give something else than rows as they come")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    texts = list(docstrings())
    random.Random(0).shuffle(texts)
    texts = texts[: options.rows]
    lengths = sorted(len(tokens(text)) for text in texts)
    ratios = []
    with scratch("text-lengths") as folder:
        for label, some in (("few", texts[:FEW_ROWS]), ("all", texts)):
            (folder / label).mkdir()
            pq.write_table(pa.table({"ID": list(range(len(some))), "TEXT": some}), folder / label / "texts.parquet")
        for _ in range(options.repeats):
            seconds = {}
            for model, more in ((IN_ORDER, {"max_batch_rows": ROWS_AS_THEY_COME}), (BY_LENGTH, {})):
                seconds[model] = run(folder, "all", model, more) - run(folder, "few", model, more)
                print(f"{model}: {seconds[model]:.2f} s of processor time", flush=True)
            ratios.append(seconds[IN_ORDER] / seconds[BY_LENGTH])
        check(folder)
    size = f"{len(texts):,} docstrings of {statistics.mean(lengths):.0f} tokens on average"
    name = "times the rows in the same processor time, against 32 rows as they come"
    most = f"95th percentile {lengths[len(lengths) * 95 // 100]}"
    save("text_lengths", f"one transformer layer, {size}, {most}, one process", {name: median(ratios)}, {name: GOAL})
    return 0


if __name__ == "__main__":
    sys.exit(main())
