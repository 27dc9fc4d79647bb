"""Pipelines of Hugging Face: what a job writes is what the library returns for each row by itself.

Needs transformers and torch, see `make test-transformers`; what needs neither is in test_length_windows.py and
test_media.py.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.contract.transformer_sources import HuggingFaceModel
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.model_kinds import find_kind
from airflow_provider_snowflake_batch.worker.models.huggingface import load
from tests.worker import transformer_models as made
from tests.worker.batches import Batch

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a model, made when it is first asked for."""
    root = tmp_path_factory.mktemp("models")

    def folder(name: str) -> Path:
        if not (root / name).exists():
            getattr(made, f"save_{name}")(root / name)
        return root / name

    return folder


def scored(folder: Path, task: str, values: list[Any], column: str = "TEXT", **params: Any) -> pd.DataFrame:
    """What the kind returns for the rows of one batch."""
    model = HuggingFaceModel(folder, "__call__", task, column, batch_tokens=500)
    loaded = load(model, JobInput(folder, params=params))
    assert loaded.columns == [column]
    found = loaded.call(pd.DataFrame({column: values}))
    assert len(found) == len(values)
    return found


def test_a_job_classifies_texts_as_the_library_does(batch: Batch, models: Any) -> None:
    folder = models("text_classifier")
    texts: list[str | None] = [*made.texts(300), None, "the " * 100]
    batch.rows({"ID": list(range(302)), "TEXT": texts})
    model = {"kind": "huggingface", "path": str(folder), "task": "text-classification", "batch_tokens": 500}
    batch.job(model, inference={"on_error": "quarantine", "num_workers": 1})
    outcome = batch.run()
    assert outcome.code == 0, outcome.stderr
    found = batch.result().sort_by("ID").to_pydict()
    pipe = transformers.pipeline("text-classification", str(folder))
    expected = [pipe(text)[0] for text in texts[:300]]
    assert found["ID"] == list(range(300)), "NULL and a text that is too long are set aside"
    assert found["label"] == [one["label"] for one in expected]
    assert len(set(found["label"])) > 1
    np.testing.assert_allclose(found["score"], [one["score"] for one in expected], rtol=1e-5)


def test_all_labels_where_they_are_asked_for(models: Any) -> None:
    folder, texts = models("text_classifier"), made.texts(20, 1)
    params = {"top_k": None, "function_to_apply": "sigmoid"}
    found = scored(folder, "text-classification", texts, **params)["labels"]
    pipe = transformers.pipeline("text-classification", str(folder))
    assert_labels(found, [pipe([text], **params)[0] for text in texts])


def assert_labels(found: Any, expected: list[list[dict[str, Any]]]) -> None:
    for row, other in zip(found, expected, strict=True):
        assert [one["label"] for one in row] == [one["label"] for one in other]
        np.testing.assert_allclose([one["score"] for one in row], [one["score"] for one in other], rtol=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_embeddings_are_means_without_the_padding(tmp_path: Path, side: str) -> None:
    folder, texts = made.save_encoder(tmp_path / "encoder", padding_side=side), made.texts(60, 2)
    found = scored(folder, "feature-extraction", texts, "words")["embedding"].tolist()
    pipe = transformers.pipeline("feature-extraction", str(folder))
    expected = [np.mean(pipe(text)[0], axis=0) for text in texts]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_features_of_every_token_and_other_poolings(models: Any) -> None:
    folder, texts = models("encoder"), made.texts(30, 3)
    pipe = transformers.pipeline("feature-extraction", str(folder))
    alone = [pipe(text)[0] for text in texts]
    features = scored(folder, "feature-extraction", texts, pooling="none")["features"]
    for found, expected in zip(features, alone, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    vectors = scored(folder, "feature-extraction", texts, pooling="cls", normalize=True)["embedding"].tolist()
    firsts = [np.asarray(one[0]) / np.linalg.norm(one[0]) for one in alone]
    np.testing.assert_allclose(vectors, firsts, rtol=1e-3, atol=1e-5)


def test_texts_that_are_too_long_are_refused_or_cut_off(models: Any) -> None:
    folder, texts = models("text_classifier"), ["the cat", "dog " * 100]
    with pytest.raises(ValueError, match="holds a text of 102 tokens, the model takes 64: .* truncation=true"):
        scored(folder, "text-classification", texts)
    found = scored(folder, "text-classification", texts, truncation=True)
    expected = transformers.pipeline("text-classification", str(folder))(texts[1], truncation=True)[0]
    assert found["score"][1] == pytest.approx(expected["score"], rel=1e-5)
    with pytest.raises(ValueError, match="column TEXT is NULL instead of a text"):
        scored(folder, "text-classification", ["the cat", None])


def test_a_tokenizer_that_cannot_pad_gets_one_text_at_a_time(models: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(models("text_classifier"), tmp_path / "copy")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    texts = made.texts(5)
    found = scored(folder, "text-classification", texts)
    expected = scored(models("text_classifier"), "text-classification", texts)
    assert found["label"].tolist() == expected["label"].tolist()
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5)


def test_images_are_classified_as_by_the_library(models: Any) -> None:
    from PIL import Image

    folder, pictures = models("image_classifier"), [made.picture(seed) for seed in range(20)]
    found = scored(folder, "image-classification", pictures, "IMAGE")["labels"]
    pipe = transformers.pipeline("image-classification", str(folder))
    assert_labels(found, [pipe(Image.open(io.BytesIO(picture))) for picture in pictures])
    with pytest.raises(ValueError, match="column IMAGE holds no image that can be read"):
        scored(folder, "image-classification", [b"no image"], "IMAGE")


def test_what_is_heard_does_not_depend_on_what_else_is_in_the_batch(models: Any) -> None:
    folder = models("speech_recogniser")
    sounds = [made.sound(seed, 0.3 + seed % 4 / 10) for seed in range(12)]
    found = scored(folder, "automatic-speech-recognition", sounds, "AUDIO")["text"].tolist()
    pipe = transformers.pipeline("automatic-speech-recognition", str(folder))
    samples = [np.frombuffer(sound[44:], dtype="<i2").astype(np.float32) / 32768 for sound in sounds]
    assert found == [pipe(one)["text"] for one in samples]
    assert len(set(found)) > 1


def test_a_folder_comes_in_an_archive_too(models: Any, tmp_path: Path) -> None:
    folder = models("text_classifier")
    archive = Path(shutil.make_archive(str(tmp_path / "model"), "zip", folder.parent, folder.name))
    (tmp_path / "temporary").mkdir()
    model = HuggingFaceModel(archive, "__call__", "text-classification", "TEXT")
    prepared = find_kind("huggingface").prepare(model, tmp_path / "temporary")
    assert sorted(file.name for file in prepared.path.iterdir()) == sorted(file.name for file in folder.iterdir())
    assert find_kind("huggingface").prepare(prepared, tmp_path / "temporary") == prepared, "it stays where it is"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"task": "translation"}}, "model.task 'translation' is not one of text-classification"),
        ({"model": {"path": "nowhere"}}, "nowhere does not exist"),
        ({"model": {"column": "WORDS"}}, "WORDS"),
        (
            {"input": {"params": {"pooling": "mean"}}},
            "the task text-classification has no parameter 'pooling'; it takes",
        ),
    ],
)
def test_what_does_not_fit_is_refused(batch: Batch, models: Any, changes: dict[str, Any], message: str) -> None:
    batch.rows({"ID": [0], "TEXT": ["the cat"]})
    model = {"kind": "huggingface", "path": str(models("text_classifier")), "task": "text-classification"}
    batch.job(model | changes.pop("model", {}), **changes)
    outcome = batch.run()
    assert outcome.code == 2, outcome.stderr
    assert message in outcome.stderr


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    model = HuggingFaceModel(tmp_path, "__call__", "text-classification", "TEXT")
    with pytest.raises(Refused, match="holds no config.json: give the folder that save_pretrained has written"):
        find_kind("huggingface").prepare(model, tmp_path)
