"""What the pages take from a stored card."""

from __future__ import annotations

import json
import math

from airflow_provider_snowflake_batch.jobs.card import JobCard
from airflow_provider_snowflake_batch.monitoring.cards import readable_card
from tests.monitoring.rows import card


def test_every_field_of_a_card_is_shown() -> None:
    figures = {"rows_done": 1, "rows_total": 2, "rows_per_second": 3.5, "eta_seconds": 4}
    figures |= {"rows_reused": 0, "quarantined_rows": 1, "batch_rows": 256}
    stored = card(
        progress={"phase": "p", **figures, "first_bad_rows": ["ValueError: no"]},
        accepted_at=5.5,
        history=[[1, 2], [3, 4]],
        statement="EXECUTE\n\x1b[1mJOB",
        no_statement="too long",
        containers=[{"replica": 0, "name": "main", "status": "DONE", "message": "", "exit_code": 0, "restarts": 0}],
        log=["\x1b[1mepoch 1", "epoch 2"],
        output={"files": 2, "bytes": 2048, "columns": [["ID", "int64"]], "columns_left_out": 0},
        waits=[[5, "\x1b[1mWaiting to start"], [40, "Failed to pull image"]],
    )
    assert JobCard.from_dict(stored).to_dict() == stored
    assert readable_card(stored, longest=100) == stored | {
        "log": ["epoch 1", "epoch 2"],
        "waits": [[5, "Waiting to start"], [40, "Failed to pull image"]],
    }


def test_a_list_needs_neither_history_nor_statement() -> None:
    shown = readable_card(card(history=[[1, 2]], statement="SELECT 1", no_statement="x"), longest=100, brief=True)
    assert (shown["history"], shown["statement"], shown["no_statement"]) == (None, None, None)


def test_a_statement_is_never_cut() -> None:
    assert readable_card(card(statement="S" * 200), longest=100)["statement"] == "S" * 200
    assert readable_card(card(statement="S" * 9000), longest=20_000)["statement"] is None


def test_of_what_a_job_has_written_only_what_can_be_read_is_shown() -> None:
    told = {"files": "2", "bytes": math.nan, "columns": [["ID", 3], "x", ["A", "b", "c"]], "rows": [1]}
    shown = readable_card(card(output=told), longest=100)["output"]
    assert shown == {"files": None, "bytes": None, "columns": [["ID", None]], "columns_left_out": None}
    assert readable_card(card(output=told), longest=100, brief=True)["output"] is None


def test_of_bad_rows_the_page_of_the_job_tells_the_first() -> None:
    stored = card(progress={"first_bad_rows": ["\x1b[1ma", 3, "b", "c"]})
    assert readable_card(stored, longest=100)["progress"]["first_bad_rows"] == ["a", "b"]
    assert "first_bad_rows" not in readable_card(stored, longest=100, brief=True)["progress"]
    assert "first_bad_rows" not in readable_card(card(progress={"first_bad_rows": "a"}), longest=100)["progress"]


def test_of_a_log_the_texts_are_shown() -> None:
    assert readable_card(card(log=["a" * 30, 3, None, "b"]), longest=20)["log"] == ["a" * 19 + "…", "b"]
    assert readable_card(card(log="a"), longest=20)["log"] is None
    assert readable_card(card(log=["a"]), longest=20, brief=True)["log"] is None


def test_of_what_a_job_has_waited_for_what_can_be_read_is_shown() -> None:
    told = [[math.nan, "a"], [10**400, "b"], ["c", 1], [1, "d", 2], "e", [20, "Failed to pull image"]]
    assert readable_card(card(waits=told), longest=10)["waits"] == [[20, "Failed to…"]]
    assert readable_card(card(waits="a"), longest=10)["waits"] is None
    assert readable_card(card(waits=told), longest=10, brief=True)["waits"] is None


def test_numbers_that_json_lacks_are_left_out() -> None:
    stored = card(submitted_at=math.nan, ended_at=math.inf, progress={"rows_done": -math.inf, "rows_total": 3})
    stored["replicas"] = 10**400
    shown = readable_card(stored, longest=100)
    assert (shown["submitted_at"], shown["ended_at"], shown["replicas"]) == (None, None, None)
    assert (shown["progress"]["rows_done"], shown["progress"]["rows_total"]) == (None, 3)
    json.dumps(shown, allow_nan=False)


def test_half_of_a_character_can_be_sent() -> None:
    assert readable_card(card() | {"message": "x\ud800y"}, longest=20)["message"] == "x?y"


def test_long_texts_are_cut() -> None:
    long = "beginning" + "-" * 50 + "end"
    shown = readable_card(card(message=long, version=long, model="m" * 20), longest=20)
    assert (shown["version"], shown["message"]) == ("beginning----------…", "beginning----------…")
    assert len(shown["version"]) == len(shown["message"]) == len(shown["model"]) == 20
    # Of several lines the last one tells most.
    assert readable_card(card(message=f"Traceback:\n{long}"), longest=20)["message"] == "…----------------end"


def test_orders_to_a_terminal_are_left_out() -> None:
    coloured = "\x1b[1;31mValueError\x1b[0m: \x1b]8;;http://x\x1b\\no\x1b]8;;\x07 [31m"
    assert readable_card(card(message=coloured), longest=100)["message"] == "ValueError: no [31m"
