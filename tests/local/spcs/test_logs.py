from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow_provider_snowflake_batch.local.spcs import logs
from tests.local.spcs.conftest import Services


def test_at_most_100_kb_of_the_newest_lines(services: Services) -> None:
    name = services.python("print('\\n'.join(f'{i:09d}' for i in range(30000)))")
    services.wait(name)
    lines = services.logs(name).splitlines()
    assert lines[-1] == f"{29999:09d}"
    assert len(lines) == 10240
    assert lines == [f"{number:09d}" for number in range(30000 - len(lines), 30000)]


def test_number_of_lines(services: Services) -> None:
    name = services.python("print('a\\nb\\nc')")
    services.wait(name)
    assert services.text(f"CALL SYSTEM$GET_SERVICE_LOGS('{name}', '0', 'main', 2)") == "b\nc"


def test_stderr_and_stdout_are_one_log(services: Services) -> None:
    name = services.submit("bash", "-c", "echo out; echo err >&2; echo out again")
    services.wait(name)
    assert services.logs(name) == "out\nerr\nout again"


def test_times_of_lines_and_lines_since(services: Services) -> None:
    name = services.python("import time; print('early', flush=True); time.sleep(0.5); print('late')")
    services.wait(name)
    begin = f"SELECT SYSTEM$GET_SERVICE_LOGS('{name}', 0, 'main', 100, FALSE"
    stamped = [line.split(" ", 1) for line in services.text(f"{begin}, '2020-01-01T00:00:00Z', TRUE)").splitlines()]
    assert [text for _, text in stamped] == ["early", "late"]
    early, late = (datetime.fromisoformat(time) for time, _ in stamped)
    assert timedelta(seconds=0.4) < late - early < timedelta(seconds=5)
    between = (early + timedelta(seconds=0.2)).isoformat()
    assert services.text(f"{begin}, '{between}')") == "late"


def test_log_lines_as_a_table(services: Services) -> None:
    name = services.python("import os; print('I am', os.environ['SNOWFLAKE_JOB_INDEX'])", replicas=2)
    services.wait(name)
    rows = services.rows(f"SELECT * FROM TABLE({name}!SPCS_GET_LOGS()) WHERE INSTANCE_ID = 1 ORDER BY TIMESTAMP")
    assert [(row["LOG"], row["CONTAINER_NAME"], row["INSTANCE_ID"]) for row in rows] == [("I am 1", "main", 1)]


def test_what_does_not_exist(services: Services) -> None:
    name = services.submit("true")
    services.wait(name)
    assert services.error(f"SELECT SYSTEM$GET_SERVICE_LOGS('NO_JOB', 0, 'main')").errno == 2003  # noqa: F541
    assert "'side'" in str(services.error(f"SELECT SYSTEM$GET_SERVICE_LOGS('{name}', 0, 'side')"))
    assert "'1'" in str(services.error(f"SELECT SYSTEM$GET_SERVICE_LOGS('{name}', 1, 'main')"))
    assert "not restarted" in str(services.error(f"SELECT SYSTEM$GET_SERVICE_LOGS('{name}', 0, 'main', 10, TRUE)"))


def test_one_line_longer_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "main.log"
    path.write_bytes(b"x" * 300_000 + b"\n")
    assert logs.recent(path) == "x" * logs.RETURNED_BYTES


def test_last_words_are_no_progress_line(tmp_path: Path) -> None:
    path = tmp_path / "main.log"
    path.write_text(f'ValueError: bad row 3\n{logs.PROGRESS_PREFIX}{{"rows": 3}}\n\n')
    assert logs.last_words(path) == "ValueError: bad row 3"
    assert logs.last_words(tmp_path / "missing.log") == ""


def test_a_renamed_log_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "main.log"
    for name, text, seconds in (("main.log.1", "old\n", 100.0), ("main.log", "new\n", 200.0)):
        (tmp_path / name).write_text(text)
        (tmp_path / f"{name}.times").write_text(f"0 {seconds}\n")
    found = [(time.timestamp(), line) for time, line in logs.lines(path)]
    assert found == [(100.0, "old"), (200.0, "new")]
    assert next(iter(logs.lines(path)))[0].tzinfo is UTC
