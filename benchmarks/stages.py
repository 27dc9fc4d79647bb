"""Where the worker's processor time goes: each stage of a batch, one after the other in one process.

The share of the model's own time that each stage costs bounds what `worker_throughput` can reach: overlapped or not,
the stages need the same cores.

    python -m benchmarks.stages --passed all
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import save
from benchmarks.scratch import scratch

FEATURES = [f"F{number}" for number in range(16)]
STAGES = ("read and decode", "lay out", "results to columns", "encode, checksum, write")


class Clock:
    """Processor seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        begun = time.process_time()
        yield
        self.seconds[stage] += time.process_time() - begun


def measure(folder: Path, rows: int, batch_rows: int, passed: list[str]) -> tuple[Clock, str]:
    """Score all row groups, stage by stage."""
    from airflow_provider_snowflake_batch.worker.processes import limits

    limits.limit_threads(1)
    limits.choose_allocator()
    import pyarrow as pa
    import pyarrow.parquet as pq

    from airflow_provider_snowflake_batch.worker.output.part_writer import PartWriter
    from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter
    from airflow_provider_snowflake_batch.worker.scoring.output_rows import RowByRow
    from airflow_provider_snowflake_batch.worker.values import schemas
    from benchmarks.tree_model import Trees, train
    from benchmarks.worker_throughput import write_input

    (folder / "input").mkdir()
    write_input(folder / "input", rows, FEATURES, 4, 4)
    path, library = train(folder, FEATURES, 100, 31)
    trees = Trees(str(path), FEATURES)
    convert = InputConverter(["ID", *FEATURES], None, "pandas", FEATURES)
    outcome = RowByRow(None, passed=passed)
    clock = Clock()
    for source in sorted((folder / "input").iterdir()):
        file = pq.ParquetFile(source)
        for group in range(file.num_row_groups):
            with clock("read and decode"):
                table = file.read_row_group(group, use_threads=False)
            schema = pa.schema([*(table.schema.field(name) for name in passed), ("PREDICTION", pa.float64())])
            writer = PartWriter(folder / "part.parquet", schema)
            for start in range(0, table.num_rows, batch_rows):
                batch = table.slice(start, batch_rows)
                with clock("lay out"):
                    argument = convert(batch)
                with clock("the model"):
                    returned = trees.predict(argument)
                with clock("results to columns"):
                    written = schemas.output_table(*outcome(batch, [(batch, returned)]))
                with clock("encode, checksum, write"):
                    writer.write(written)
            with clock("encode, checksum, write"):
                writer.close()
    return clock, library


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--batch-rows", type=int, default=32_768)
    parser.add_argument("--passed", choices=["ids", "all"], default="ids", help="input columns that are written")
    options = parser.parse_args(arguments)
    passed = ["ID"] if options.passed == "ids" else ["ID", *FEATURES]
    with scratch("stages") as folder:
        clock, library = measure(folder, options.rows, options.batch_rows, passed)
    model = clock.seconds["the model"]
    others = sum(clock.seconds.values()) - model
    save(
        "stages",
        f"{library}, 100 trees × 31 leaves, {options.rows:,} rows × 16 float32, "
        f"{'keys' if options.passed == 'ids' else 'all columns'} written, stage by stage in one process",
        {
            **{f"{stage}, % of the model": 100 * clock.seconds[stage] / model for stage in STAGES},
            "most that can be had, share of the limit": model / (model + others),
        },
        {},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
