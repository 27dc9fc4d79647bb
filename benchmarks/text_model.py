"""The model that `text_lengths` scores with: one layer of a transformer, which pads a batch to its longest text."""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy as np
import pandas as pd

WIDTH, HEADS, WORDS = 96, 4, 8192
# As sentence embeddings cut their texts off.
MOST_TOKENS = 256
_TOKEN = re.compile(r"\w+|[^\w\s]")


def tokens(text: str) -> list[int]:
    """Numbers of the words and signs of a text, the same in every process."""
    return [zlib.crc32(word.encode()) % WORDS for word in _TOKEN.findall(text)[:MOST_TOKENS]] or [0]


class Embeds:
    """The mean of what attention and a feed-forward network make of a text's tokens, its first numbers of it.

    A row's result does not depend on the padding, but for the last digits; what a call costs does.
    """

    input_columns = ("TEXT",)

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)

        def weights(*shape: int) -> np.ndarray:
            return random.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(shape[0]))

        self._words = random.standard_normal((WORDS, WIDTH), dtype=np.float32)
        self._in, self._out = weights(WIDTH, 3 * WIDTH), weights(WIDTH, WIDTH)
        self._wide, self._narrow = weights(WIDTH, 4 * WIDTH), weights(4 * WIDTH, WIDTH)

    def predict(self, frame: pd.DataFrame) -> dict[str, Any]:
        return {"EMBEDDING": list(self.embed([tokens(text) for text in frame["TEXT"]])[:, :8])}

    def embed(self, texts: list[list[int]]) -> np.ndarray:
        """One vector for each text."""
        longest = max(map(len, texts))
        numbers = np.zeros((len(texts), longest), dtype=np.int64)
        real = np.zeros((len(texts), longest, 1), dtype=np.float32)
        for row, text in enumerate(texts):
            numbers[row, : len(text)], real[row, : len(text)] = text, 1
        states = self._words[numbers]
        states = states + self._attend(states, real) @ self._out
        states = states + np.maximum(states @ self._wide, 0) @ self._narrow
        found: np.ndarray = (states * real).sum(axis=1) / real.sum(axis=1)
        return found

    def _attend(self, states: np.ndarray, real: np.ndarray) -> np.ndarray:
        rows, longest, _ = states.shape
        parts = (states @ self._in).reshape(rows, longest, 3, HEADS, WIDTH // HEADS)
        query, key, value = (parts[:, :, part].transpose(0, 2, 1, 3) for part in range(3))
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(WIDTH // HEADS))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True)) * real[:, None, None, :, 0]
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        return np.asarray(mixed.transpose(0, 2, 1, 3).reshape(rows, longest, WIDTH))


class EmbedsByLength(Embeds):
    """The same, and says how long texts are."""

    def length_of(self, frame: pd.DataFrame) -> list[int]:
        return [len(tokens(text)) for text in frame["TEXT"]]
