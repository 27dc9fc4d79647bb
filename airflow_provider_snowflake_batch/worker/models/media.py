"""Images and sounds in rows, as pipelines take them: bytes, Base64, or a data URL. No address is ever fetched."""

from __future__ import annotations

import base64
import binascii
import importlib
import io
import shutil
import wave
from typing import Any

import numpy as np


def content(value: Any, column: str) -> bytes:
    """The bytes of a file in a column.

    :raises ValueError: it holds something else.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        head, separator, encoded = value.partition(";base64,")
        is_url = head.startswith("data:") and bool(separator)
        try:
            return base64.b64decode(encoded if is_url else value, validate=True)
        except (binascii.Error, ValueError):
            pass
    shown = repr(value[:40]) if isinstance(value, str) else type(value).__name__
    raise ValueError(
        f"column {column} holds {shown} instead of a file: name it in input_spec.column_handling with convert_to "
        "raw_bytes, base64 or base64_data_url"
    )


def image(value: Any, column: str) -> Any:
    """An image.

    :raises ValueError: it is none that Pillow reads, which says so with an OSError.
    """
    pillow = importlib.import_module("PIL.Image")
    try:
        found = pillow.open(io.BytesIO(content(value, column)))
        found.load()
    except OSError as error:
        raise ValueError(f"column {column} holds no image that can be read: {error}") from None
    return found


def sound(value: Any, column: str, rate: int) -> np.ndarray | bytes:
    """A sound: samples where they are stored as the model takes them, otherwise the file for ``ffmpeg``.

    :param rate: samples a second that the model takes.
    :raises ValueError: it needs ``ffmpeg``, which is not installed.
    """
    data = content(value, column)
    samples = _samples(data, rate)
    if samples is not None:
        return samples
    if shutil.which("ffmpeg") is None:
        raise ValueError(
            f"column {column} holds a sound that ffmpeg has to decode, which is not installed here; WAV files of one "
            f"channel, 16 bits and {rate} samples a second need none"
        )
    return data


def _samples(data: bytes, rate: int) -> np.ndarray | None:
    if data[:4] != b"RIFF":
        return None
    try:
        with wave.open(io.BytesIO(data)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, rate):
                return None
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError):
        return None
    return np.frombuffer(frames, dtype="<i2").astype(np.float32) / 32768
