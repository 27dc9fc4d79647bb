"""Files in rows, as pipelines take them."""

from __future__ import annotations

import base64
import shutil
from typing import Any

import numpy as np
import pytest

from airflow_provider_snowflake_batch.worker.models import media
from tests.worker.transformer_models import sound


@pytest.mark.parametrize(
    "value",
    [
        b"abc",
        bytearray(b"abc"),
        base64.b64encode(b"abc").decode(),
        "data:image/png;base64," + base64.b64encode(b"abc").decode(),
    ],
)
def test_a_file_comes_in_any_encoding(value: Any) -> None:
    assert media.content(value, "IMAGE") == b"abc"


@pytest.mark.parametrize("value", [None, 1, "@db.s.st/a.png", "https://host/a.png", "data:image/png,abc", "a b"])
def test_what_is_no_file_is_refused_and_nothing_is_fetched(value: Any) -> None:
    with pytest.raises(ValueError, match=r"column IMAGE holds .* name it in input_spec.column_handling"):
        media.content(value, "IMAGE")


def test_sounds_as_the_model_takes_them_need_no_decoder() -> None:
    samples = media.sound(sound(1), "AUDIO", 16000)
    assert isinstance(samples, np.ndarray)
    assert samples.dtype == np.float32
    assert len(samples) == 8000
    assert 0.5 < np.abs(samples).max() <= 1


@pytest.mark.parametrize(
    "file", [sound(1, rate=8000), sound(1, channels=2), b"RIFF and nothing", b"ID3 music"], ids=range(4)
)
def test_other_sounds_are_ffmpegs(file: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert media.sound(file, "AUDIO", 16000) == file
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="column AUDIO holds a sound that ffmpeg has to decode"):
        media.sound(file, "AUDIO", 16000)
