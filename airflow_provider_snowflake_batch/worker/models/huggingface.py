"""Pipelines of Hugging Face, from the folder that ``save_pretrained`` has written.

``transformers.pipeline`` does the work, so a row's prediction is what the pipeline returns for it alone, but for what
floating-point arithmetic makes of padding (about the sixth digit). Called with many rows, it takes them as they come;
here texts of like lengths go through the model together, in batches that are bounded in tokens.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.contract.transformer_sources import HuggingFaceModel
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models import media
from airflow_provider_snowflake_batch.worker.models.base import Description, LoadedModel, ModelKind
from airflow_provider_snowflake_batch.worker.models.code_archives import import_from, unpacked
from airflow_provider_snowflake_batch.worker.models.length_windows import in_windows
from airflow_provider_snowflake_batch.worker.models.transformer_folder import (
    default_batch_tokens,
    device_of,
    import_transformers,
    local_folder,
)

_MEDIA_ROWS = 8
# A tokenizer without a limit states 10^30 as its length.
_NO_LIMIT = 10**9
POOLING = ("mean", "cls", "none")
_PARAMS: Mapping[str, tuple[str, ...]] = {
    "text-classification": ("top_k", "function_to_apply", "truncation", "max_length"),
    "feature-extraction": ("pooling", "normalize", "truncation", "max_length"),
    "image-classification": ("top_k", "function_to_apply"),
    "automatic-speech-recognition": ("return_timestamps", "generate_kwargs", "chunk_length_s", "stride_length_s"),
}


class Kind(ModelKind[HuggingFaceModel]):
    source = HuggingFaceModel

    def prepare(self, model: HuggingFaceModel, folder: Path) -> HuggingFaceModel:
        return replace(unpacked(model, folder), path=local_folder(model.path, folder))

    def describe(self, model: HuggingFaceModel, input_files: JobInput) -> Description:
        _check_params(model.task, input_files.params)
        # Without the number of tokens in a batch, on which no result depends, and the files, which are hashed.
        stated = json.dumps([model.task, model.column])
        return Description(f"huggingface:{hashlib.sha256(stated.encode()).hexdigest()}")

    def load(self, model: HuggingFaceModel, input_files: JobInput) -> LoadedModel:
        return load(model, input_files)


def load(model: HuggingFaceModel, input_files: JobInput) -> LoadedModel:
    """The pipeline, on the first GPU that the process sees or else on the processor.

    :raises Refused: a library is missing, or the job's params are not those of the task.
    :raises Exception: whatever ``transformers`` raises for a folder that is no such pipeline.
    """
    _check_params(model.task, input_files.params)
    import_from(model.python_path)
    transformers, torch = import_transformers(("PIL",) if model.task == "image-classification" else ())
    device = device_of(torch)
    pipeline = transformers.pipeline(task=model.task, model=str(model.path), device=device)
    budget = model.batch_tokens or default_batch_tokens(device)
    params = dict(input_files.params)
    call: Callable[[Sequence[Any]], Mapping[str, Any]]
    match model.task:
        case "text-classification":
            call = _Texts(pipeline, model.column, budget, params).classify
        case "feature-extraction":
            call = _Texts(pipeline, model.column, budget, params).extract
        case "image-classification":
            call = _Media(pipeline, model.column, params).classify
        case _:
            call = _Media(pipeline, model.column, params).recognise
    sorts = model.task in ("text-classification", "feature-extraction")
    return LoadedModel(lambda rows: pd.DataFrame(call(rows[model.column])), columns=[model.column], sorts=sorts)


def _check_params(task: str, params: Mapping[str, Any]) -> None:
    known = _PARAMS[task]
    for name in params:
        if name not in known:
            raise Refused(f"the task {task} has no parameter {name!r}; it takes {', '.join(known)}")
    if params.get("pooling", "mean") not in POOLING:
        raise Refused(f"the parameter pooling is one of {', '.join(POOLING)}, not {params['pooling']!r}")


class _Texts:
    """Calls a pipeline with texts.

    :param budget: most tokens of a batch, padding counted.
    """

    def __init__(self, pipeline: Any, column: str, budget: int, params: Mapping[str, Any]) -> None:
        self._pipeline = pipeline
        self._column = column
        self._tokenizer = pipeline.tokenizer
        # Without a token for padding, texts cannot be padded and go one at a time.
        self._budget = budget if self._tokenizer.pad_token_id is not None else 0
        # Padding before a text changes its positions, which matters to models that count them from the beginning.
        self._same = self._tokenizer.padding_side == "left"
        self._cut = {name: params[name] for name in ("truncation", "max_length") if name in params}
        self._params = {
            name: value for name, value in params.items() if name not in (*self._cut, "pooling", "normalize")
        }
        self._pooling = params.get("pooling", "mean")
        self._normalize = bool(params.get("normalize", False))

    def classify(self, values: Sequence[Any]) -> Mapping[str, Any]:
        texts = [self._text(value) for value in values]

        def call(_: Sequence[int], window: list[str]) -> Sequence[Any]:
            results: Sequence[Any] = self._pipeline(window, batch_size=len(window), **self._cut, **self._params)
            return results

        return labels(in_windows(texts, self._lengths(texts), self._budget, call, same=self._same))

    def extract(self, values: Sequence[Any]) -> Mapping[str, Any]:
        texts = [self._text(value) for value in values]
        lengths = self._lengths(texts)

        def call(places: Sequence[int], window: list[str]) -> Sequence[Any]:
            found = self._pipeline(window, batch_size=len(window), return_tensors=True, tokenize_kwargs=self._cut)
            return [self._features(one, lengths[place]) for one, place in zip(found, places, strict=True)]

        features = in_windows(texts, lengths, self._budget, call, same=self._same)
        if self._pooling == "none":
            return {"features": [one.tolist() for one in features]}
        return {"embedding": list(features)}

    def _text(self, value: Any) -> str:
        if not isinstance(value, str):
            held = "is NULL" if pd.api.types.is_scalar(value) and pd.isna(value) else f"holds {type(value).__name__}"
            raise ValueError(f"column {self._column} {held} instead of a text")
        return value

    def _lengths(self, texts: list[str]) -> list[int]:
        lengths = [len(tokens) for tokens in self._tokenizer(texts, verbose=False, **self._cut)["input_ids"]]
        most = self._tokenizer.model_max_length
        if most < _NO_LIMIT and not self._cut.get("truncation") and (longest := max(lengths, default=0)) > most:
            raise ValueError(
                f"column {self._column} holds a text of {longest} tokens, the model takes {most}: with the parameter "
                "truncation=true longer ones are cut off"
            )
        return lengths

    def _features(self, tensor: Any, length: int) -> np.ndarray:
        """What the model returns for a text, without what it returns for the padding."""
        rows = tensor[0] if tensor.ndim == 3 else tensor
        tokens: np.ndarray = rows[:length].float().cpu().numpy()
        if self._pooling == "none":
            return tokens
        vector = tokens[0] if self._pooling == "cls" else tokens.mean(axis=0)
        if self._normalize:
            vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
        return np.asarray(vector, dtype=np.float32)


class _Media:
    """Calls a pipeline with images or sounds."""

    def __init__(self, pipeline: Any, column: str, params: Mapping[str, Any]) -> None:
        self._pipeline = pipeline
        self._column = column
        self._params = dict(params)

    def classify(self, values: Sequence[Any]) -> Mapping[str, Any]:
        return labels(self._call([media.image(value, self._column) for value in values]))

    def recognise(self, values: Sequence[Any]) -> Mapping[str, Any]:
        extractor = self._pipeline.feature_extractor
        sounds = [media.sound(value, self._column, extractor.sampling_rate) for value in values]
        # Whisper always gets 30 seconds, filled up with silence. Other models write text for a batch's padding, so only
        # sounds of the same length go together.
        whole = extractor.n_samples if self._pipeline.type == "seq2seq_whisper" else 0
        together: dict[Any, list[int]] = {}
        for place, sound in enumerate(sounds):
            key = place if isinstance(sound, bytes) or len(sound) > whole > 0 else ("samples", whole or len(sound))
            together.setdefault(key, []).append(place)
        found: list[Any] = [None] * len(sounds)
        for places in together.values():
            for place, one in zip(places, self._call([sounds[place] for place in places]), strict=True):
                found[place] = one
        named = {"text": [one["text"] for one in found]}
        if any("chunks" in one for one in found):
            named["chunks"] = [[_chunk(chunk) for chunk in one.get("chunks", ())] for one in found]
        return named

    def _call(self, inputs: list[Any]) -> list[Any]:
        return list(self._pipeline(inputs, batch_size=_MEDIA_ROWS, **self._params))


def _chunk(chunk: Mapping[str, Any]) -> dict[str, Any]:
    begin, end = chunk["timestamp"]
    return {"text": chunk["text"], "begin": begin, "end": end}


def labels(found: Sequence[Any]) -> Mapping[str, Any]:
    """A classification as columns: ``label`` and ``score``, or ``labels`` where each row has any number of them."""
    rows = [[one] if isinstance(one, Mapping) else list(one) for one in found]
    if all(len(row) == 1 for row in rows):
        return {"label": [row[0]["label"] for row in rows], "score": [float(row[0]["score"]) for row in rows]}
    return {"labels": [[{"label": one["label"], "score": float(one["score"])} for one in row] for row in rows]}
