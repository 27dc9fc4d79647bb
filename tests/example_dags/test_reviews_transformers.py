"""The example of Hugging Face's models; `make test-transformers` runs it where torch is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.example_dags.run_example import ROOT, ask_library, fetch_folder, load_example, python_with, run_example

DAG_FILE = ROOT / "example_dags" / "reviews_transformers.py"
# Each text alone, without padding.
PREDICT = """
import json, sys, transformers
folder, reviews = sys.argv[1], json.loads(sys.argv[2])
classifier = transformers.pipeline("text-classification", f"{folder}/sentiment")
tokenizer = transformers.AutoTokenizer.from_pretrained(f"{folder}/answers")
chat = transformers.AutoModelForCausalLM.from_pretrained(f"{folder}/answers").eval()

def answer(review):
    text = tokenizer.apply_chat_template([{"role": "user", "content": review}], tokenize=False)
    asked = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
    written = chat.generate(**asked, max_new_tokens=4, do_sample=False)[0, asked["input_ids"].shape[1]:]
    return tokenizer.decode(written, skip_special_tokens=True)

print(json.dumps([{"review": review, **classifier(review)[0], "answer": answer(review)} for review in reviews]))
"""


def test_the_dag_file_parses() -> None:
    dag = load_example("reviews_transformers").dag
    assert set(dag.task_ids) == {"train", "prepare", "classify", "answer", "read"}
    kinds = {dag.get_task(name).model["kind"] for name in ("classify", "answer")}
    assert kinds == {"huggingface", "chat"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_labels_and_answers_are_those_of_the_library_itself(
    local_server: LocalServer, snowflake_connection: str, tmp_path: Path
) -> None:
    python = python_with("torch", "transformers")
    found = run_example(DAG_FILE, local_server, tmp_path, python=python)["read"]
    models = fetch_folder(snowflake_connection, "@REVIEWS_MODELS/", tmp_path / "models")
    reviews = load_example("reviews_transformers").REVIEWS
    told = ask_library(python, PREDICT, str(models), json.dumps(reviews))
    assert [one["review"] for one in found] == reviews
    assert [one["label"] for one in found] == [one["label"] for one in told]
    assert [one["score"] for one in found] == pytest.approx([one["score"] for one in told], rel=1e-5)
    assert [one["answer"].strip() for one in found] == [one["answer"].strip() for one in told]
    assert {one["answer"].strip() for one in found} == {"thanks", "sorry"}, "the models have learnt something"
    assert {one["label"] for one in found} == {"GOOD", "BAD"}
