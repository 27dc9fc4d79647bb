"""Results on a stage are verified, against the local Snowflake.

Also tests ``hooks/verification.py``.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.execution_time.context import OutletEventAccessors
from snowflake.connector.errors import ProgrammingError

from airflow_provider_snowflake_batch.contract.manifest import Column, Manifest
from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.exceptions import JobInputError, ResultsError, SnowflakeBatchError
from airflow_provider_snowflake_batch.hooks import verification
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.operators.verify import VerifyBatchResultsOperator

LOCATION = "@VERIFY_TESTS/out/JOB"
FILES = {"part-1.parquet": [1, 2], "part-2.parquet": [3], "_quarantine/1.pq": [4]}


def parquet(rows: list[int], name: str = "ID") -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table({name: pa.array(rows, pa.int64())}), content)
    return content.getvalue()


def part(path: str, content: bytes, rows: int) -> PartFile:
    return PartFile(path.rpartition("/")[2], rows, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")


def manifest_of(files: dict[str, tuple[bytes, int]], **changes: Any) -> bytes:
    parts = [part(path, *file) for path, file in files.items() if "/" not in path]
    aside = [part(path, *file) for path, file in files.items() if "/" in path]
    given = {"rows": sum(one.rows for one in parts), "files": parts, "quarantine": aside} | changes
    return Manifest("JOB", "f", "i", schema=[Column("ID", "int64", True)], seconds=1.0, **given).to_json().encode()


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    """Results as the worker leaves them, beside those of another job."""
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run("CREATE OR REPLACE STAGE VERIFY_TESTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
        files = {path: (parquet(rows), len(rows)) for path, rows in FILES.items()}
        for path, (content, _) in files.items():
            opened.write_file(f"{LOCATION}/{path}", content)
        opened.write_file(f"{LOCATION}/_manifest.json", manifest_of(files))
        opened.write_file(f"{LOCATION}/_tasks/1.json", b"{}")
        opened.write_file(f"{LOCATION}/_SUCCESS", b"")
        opened.write_file(f"{LOCATION}_2/part-9.parquet", parquet([9]))
        yield opened


@pytest.fixture
def unlisted(hook: SnowflakeBatchHook) -> SnowflakeBatchHook:
    """Results as another runtime leaves them."""
    hook.remove_files(f"{LOCATION}/_manifest.json")
    hook.remove_files(f"{LOCATION}/_tasks/")
    hook.remove_files(f"{LOCATION}/_quarantine/")
    return hook


def verify(**changes: Any) -> dict[str, Any]:
    return VerifyBatchResultsOperator(**({"task_id": "verify", "stage_location": LOCATION} | changes)).execute({})


@pytest.mark.parametrize("contents", [False, True])
def test_results_that_are_all_there(hook: SnowflakeBatchHook, contents: bool) -> None:
    sizes = sum(file.size for file in hook.list_files(f"{LOCATION}/") if file.path.endswith((".parquet", ".pq")))
    assert verify(contents=contents, expected_rows=3, min_rows=3, require_manifest=True) == {
        "output_location": "@LOCAL.PUBLIC.VERIFY_TESTS/out/JOB/",
        "rows": 3,
        "quarantined_rows": 1,
        "files": 2,
        "bytes": sizes,
        "has_manifest": True,
        "contents": contents,
    }
    assert hook.count_rows(LOCATION) == 3


def test_nothing_but_the_manifest_is_fetched(hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    original = SnowflakeBatchHook.fetched
    monkeypatch.setattr(
        SnowflakeBatchHook, "fetched", lambda self, at: fetched.append(str(at).rpartition("/")[2]) or original(self, at)
    )
    verify()
    assert fetched == ["_manifest.json"]


@pytest.mark.parametrize(("contents", "expected"), [(True, [(1, 3), (2, 3), (3, 3)]), (False, [])])
def test_who_asks_is_told_after_each_file(
    hook: SnowflakeBatchHook, contents: bool, expected: list[tuple[int, int]]
) -> None:
    told: list[tuple[int, int]] = []
    hook.verify_results(LOCATION, contents=contents, on_fetched=lambda *counts: told.append(counts))
    assert told == expected


@pytest.mark.parametrize(
    ("path", "content", "fault"),
    [
        ("part-2.parquet", None, "part-2.parquet is missing"),
        ("_quarantine/1.pq", None, "_quarantine/1.pq is missing"),
        ("part-1.parquet", parquet([1, 2])[:-20], r"part-1.parquet has \d+ bytes, not \d+"),
        ("part-3.parquet", parquet([7]), "part-3.parquet is not in the manifest"),
        ("day=1/part.parquet", parquet([7]), "day=1/part.parquet is not in the manifest"),
    ],
)
def test_what_the_list_of_files_tells(hook: SnowflakeBatchHook, path: str, content: bytes | None, fault: str) -> None:
    if content is None:
        hook.remove_files(f"{LOCATION}/{path}")
    else:
        hook.write_file(f"{LOCATION}/{path}", content)
    with pytest.raises(
        ResultsError, match=rf"^@LOCAL\.PUBLIC\.VERIFY_TESTS/out/JOB/ differs from its manifest: {fault}"
    ):
        verify()


def test_what_the_contents_tell(hook: SnowflakeBatchHook) -> None:
    good = parquet([1, 2])
    changed = good.replace((1).to_bytes(8, "little"), (5).to_bytes(8, "little"), 1)
    assert len(changed) == len(good) != changed.count(good)
    hook.write_file(f"{LOCATION}/part-1.parquet", changed)
    assert verify()["rows"] == 3
    with pytest.raises(ResultsError, match="manifest: part-1.parquet has another checksum"):
        verify(contents=True)


@pytest.mark.parametrize(
    ("content", "rows", "fault"),
    [
        (b"PAR1 and then nothing", 2, "part-1.parquet cannot be read: "),
        (parquet([1]), 2, "part-1.parquet has 1 rows, not 2"),
        (parquet([1, 2], "OTHER"), 2, "part-1.parquet has other columns"),
    ],
)
def test_a_manifest_that_was_written_for_other_contents(
    hook: SnowflakeBatchHook, content: bytes, rows: int, fault: str
) -> None:
    hook.remove_files(f"{LOCATION}/")
    hook.write_file(f"{LOCATION}/part-1.parquet", content)
    hook.write_file(f"{LOCATION}/_manifest.json", manifest_of({"part-1.parquet": (content, rows)}))
    hook.write_file(f"{LOCATION}/_SUCCESS", b"")
    assert verify()["rows"] == 2
    with pytest.raises(ResultsError, match=fault):
        verify(contents=True)


def test_results_that_are_not_complete(hook: SnowflakeBatchHook) -> None:
    hook.remove_files(f"{LOCATION}/_SUCCESS")
    for ask in (verify, lambda: hook.count_rows(LOCATION)):
        with pytest.raises(ResultsError, match="has no _SUCCESS: its files are not complete. .*BatchSuccessSensor"):
            ask()
    with pytest.raises(JobInputError, match="The stage of .* does not exist"):
        verify(stage_location="@NO_SUCH_STAGE/x")


@pytest.mark.parametrize("content", [b"{", b'{"version": 9}', b"\xff"])
def test_a_manifest_that_cannot_be_read(hook: SnowflakeBatchHook, content: bytes) -> None:
    hook.write_file(f"{LOCATION}/_manifest.json", content)
    with pytest.raises(ResultsError, match="_manifest.json of .* cannot be read: "):
        verify()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expected_rows": 4}, "has 3 rows, not 4"),
        ({"expected_rows": "2"}, "has 3 rows, not 2"),
        ({"min_rows": 4}, "has 3 rows, fewer than 4"),
    ],
)
@pytest.mark.parametrize("has_manifest", [True, False])
def test_other_numbers_of_rows(
    hook: SnowflakeBatchHook, changes: dict[str, Any], message: str, has_manifest: bool
) -> None:
    if not has_manifest:
        hook.remove_files(f"{LOCATION}/_manifest.json")
    with pytest.raises(ResultsError, match=message):
        verify(**changes)


@pytest.mark.parametrize("contents", [False, True])
def test_rows_are_counted_without_a_manifest(unlisted: SnowflakeBatchHook, contents: bool) -> None:
    found = verify(contents=contents, min_rows=3)
    assert (found["rows"], found["files"], found["has_manifest"]) == (3, 2, False)
    assert unlisted.count_rows(LOCATION) == 3
    with pytest.raises(ResultsError, match="has no _manifest.json"):
        verify(require_manifest=True)
    unlisted.remove_files(f"{LOCATION}/part")
    assert verify()["rows"] == 0


@pytest.mark.parametrize("contents", [False, True])
def test_a_file_that_is_cut_off_cannot_be_counted(unlisted: SnowflakeBatchHook, contents: bool) -> None:
    unlisted.write_file(f"{LOCATION}/part-1.parquet", parquet([1, 2])[:-20])
    with pytest.raises(ResultsError, match="cannot be (read|counted): "):
        verify(contents=contents)


def test_without_the_privilege_to_count_footers_tell(
    unlisted: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise ProgrammingError("Insufficient privileges to operate on schema 'PUBLIC'", errno=3001)

    monkeypatch.setattr(verification, "_counted", refuse)
    assert unlisted.count_rows(LOCATION) == 3


def test_files_that_may_hold_results_are_not_left_out(unlisted: SnowflakeBatchHook) -> None:
    unlisted.write_file(f"{LOCATION}/day=1/part.parquet", parquet([7]))
    with pytest.raises(ResultsError, match="not named as a job's results are .*: day=1/part.parquet"):
        verify()


def test_a_file_that_does_not_fit_is_not_fetched(hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(SnowflakeBatchError, match=r"part-1.parquet has \d+ bytes, and .* room for 10. Set TMPDIR"):
        verify(contents=True)


def test_the_outlets_event_tells_what_was_verified(hook: SnowflakeBatchHook) -> None:
    asset, events = Asset("scores"), OutletEventAccessors()
    task = VerifyBatchResultsOperator(task_id="verify", stage_location=LOCATION, outlets=[asset])
    task.execute({"outlet_events": events})
    assert (events[asset].extra["rows"], events[asset].extra["has_manifest"]) == (3, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage_location": "out/"}, "stage_location: 'out/'"),
        ({"min_rows": -1}, "min_rows: -1 is no number of rows"),
        ({"min_rows": 1.5}, "min_rows: 1.5 is no number of rows"),
        ({"expected_rows": True}, "expected_rows: True is no number of rows"),
        ({"expected_rows": "many"}, "expected_rows: 'many' is no number of rows"),
    ],
)
def test_bad_input(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=message):
        VerifyBatchResultsOperator(**({"task_id": "t", "stage_location": LOCATION} | changes))


def test_what_templates_bring(hook: SnowflakeBatchHook) -> None:
    task = VerifyBatchResultsOperator(
        task_id="t", stage_location="{{ at }}", expected_rows="{{ rows }}", min_rows="{{ least }}"
    )
    task.render_template_fields({"at": LOCATION, "rows": 3, "least": None})
    assert task.execute({})["rows"] == 3
    task.min_rows = "few"
    with pytest.raises(JobInputError, match="min_rows: 'few' is no number of rows"):
        task.execute({})


def test_another_tasks_output_says_where_and_how_many() -> None:
    with DAG("d", schedule=None):
        score = VerifyBatchResultsOperator(task_id="score", stage_location=LOCATION)
        task = VerifyBatchResultsOperator(
            task_id="t", stage_location=score.output["output_location"], expected_rows=score.output["rows"]
        )
    assert task.upstream_task_ids == {"score"}
    with DAG("d", schedule=None):
        scores = VerifyBatchResultsOperator.partial(task_id="scores").expand(stage_location=["@a/b", "@a/c"])
        each = VerifyBatchResultsOperator.partial(task_id="t").expand(
            stage_location=scores.output.map(lambda result: result["output_location"])
        )
    assert each.upstream_task_ids == {"scores"}
