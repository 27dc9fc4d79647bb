"""Which params a packed pipeline is given; the signatures are those that ``log_model`` finds by the task.

Also tests ``worker/models/signature.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.packed_pipelines import arguments, is_pipeline
from airflow_provider_snowflake_batch.worker.models.signature import Signature, parse_signature
from tests.worker.batches import Batch
from tests.worker.transformer_models import save_text_classifier, texts

pytestmark = pytest.mark.slow

utils = pytest.importorskip("snowflake.ml.model._signatures.utils")


def packed(task: str, *, chat: bool = False, **pipeline: Any) -> tuple[dict[str, Any], Signature]:
    """``model.yaml`` of a pipeline, as far as it matters, and its signature."""
    found = utils.huggingface_pipeline_signature_auto_infer(task, pipeline, has_chat_template=chat)
    metadata = {"model_type": "huggingface_pipeline", "models": {"m": {"options": {"task": task, "batch_size": 1}}}}
    return metadata, parse_signature(found.to_dict())


TASKS = [
    "text-classification",
    "sentiment-analysis",
    "fill-mask",
    "token-classification",
    "zero-shot-classification",
    "question-answering",
    "table-question-answering",
    "summarization",
    "text2text-generation",
    "translation_en_to_fr",
    "text-generation",
    "image-classification",
    "image-feature-extraction",
    "image-to-text",
    "object-detection",
    "document-question-answering",
    "visual-question-answering",
    "video-classification",
    "audio-classification",
    "automatic-speech-recognition",
    "zero-shot-image-classification",
    "zero-shot-object-detection",
    "zero-shot-audio-classification",
]


@pytest.mark.parametrize("task", TASKS)
def test_the_pipelines_own_defaults_are_left_to_it(task: str) -> None:
    metadata, signature = packed(task)
    assert is_pipeline(metadata)
    assert arguments(metadata, signature, {}) == {}
    assert arguments(metadata, signature, {param.name: None for param in signature.params}) == {}


@pytest.mark.parametrize(
    ("task", "given", "passed"),
    [
        ("text-classification", {"function_to_apply": "none"}, {"function_to_apply": "none"}),
        ("text-classification", {"TOP_K": 1}, {}),
        ("image-classification", {"top_k": 5}, {"top_k": 5}),
        ("fill-mask", {"targets": ["a"], "top_k": 2}, {"targets": ["a"], "top_k": 2}),
        ("summarization", {"max_new_tokens": 4, "truncation": True}, {"max_new_tokens": 4, "truncation": True}),
        ("automatic-speech-recognition", {"return_timestamps": True}, {"return_timestamps": True}),
        ("zero-shot-classification", {"multi_label": True}, {"multi_label": True}),
        (
            "text-generation",
            {"temperature": 1, "watermarking_config": {"bias": 2}},
            {"temperature": 1.0, "watermarking_config": {"bias": 2.0}},
        ),
    ],
)
def test_what_is_given_is_passed(task: str, given: dict[str, Any], passed: dict[str, Any]) -> None:
    assert arguments(*packed(task), given) == passed


def test_a_pipeline_that_was_made_for_several_labels_may_be_asked_for_others() -> None:
    metadata, signature = packed("text-classification", top_k=2)
    assert arguments(metadata, signature, {"top_k": 1}) == {"top_k": 1}
    assert arguments(metadata, signature, {}) == {}
    with pytest.raises(Refused, match="parameter top_k must be 1, not 3"):
        arguments(*packed("text-classification"), {"top_k": 3})


def test_a_default_of_the_logged_signature_that_is_not_the_pipelines_is_passed() -> None:
    metadata, signature = packed("image-classification")
    entry = {"name": "top_k", "dtype": "INT64", "default_value": 3}
    own = parse_signature(
        {
            "inputs": [{"name": "images", "type": "BYTES"}],
            "outputs": [{"name": "x", "type": "STRING"}],
            "params": [entry],
        }
    )
    assert arguments(metadata, own, {}) == {"top_k": 3}
    assert signature.params != own.params


def test_a_chat_has_all_defaults_of_its_signature() -> None:
    metadata, signature = packed("text-generation", chat=True)
    assert arguments(metadata, signature, {"n": 2}) == {
        param.name: 2 if param.name == "n" else param.default for param in signature.params
    }


def test_a_text_classification_gives_a_label_and_a_score(batch: Batch, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from snowflake.ml.model._packager.model_packager import ModelPackager

    pipeline = transformers.pipeline("text-classification", model=str(save_text_classifier(tmp_path / "saved")))
    given = texts(12)
    expected = [pipeline(text)[0] for text in given]
    assert len({each["label"] for each in expected}) > 1
    (tmp_path / "packed" / "model").mkdir(parents=True)
    ModelPackager(str(tmp_path / "packed" / "model")).save(name="m", model=pipeline, options={})
    batch.rows({"TEXT": given})
    batch.job({"kind": "registry", "path": str(tmp_path / "packed"), "function": "__call__"})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["label"].to_pylist() == [each["label"] for each in expected]
    assert batch.result()["score"].to_pylist() == pytest.approx([each["score"] for each in expected])
