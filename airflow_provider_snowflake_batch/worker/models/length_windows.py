"""Which texts go through a model together: those of like lengths, so that little of the work is padding.

In one call all texts are padded to the longest. So they are sorted by their lengths and cut into windows, each of which
stays below a number of tokens, padding counted: that bounds the memory that a call needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

# A window with enough texts for a call ends before a text that is shorter than this share of its longest.
_LIKE = 0.75
_WORTH_A_CALL = 16


def length_windows(
    lengths: Sequence[int], most: int, extra: int = 0, *, same: bool = False, most_rows: int | None = None
) -> Iterator[list[int]]:
    """The places of texts, each once, in windows of texts that go through the model together.

    :param lengths: the tokens of each text.
    :param most: most tokens of a window, padding counted. A text that is longer has a window to itself.
    :param extra: tokens that each text has besides, such as those that are written after it.
    :param same: only texts of the same length together, for a model that padding changes.
    :param most_rows: most texts of a window.
    """
    window: list[int] = []
    longest = 0
    # The longest first: if there is no memory for a window, it shows at once.
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        length = lengths[place] + extra
        full = (len(window) + 1) * longest > most or len(window) == most_rows
        unlike = length < longest if same else len(window) >= _WORTH_A_CALL and length < _LIKE * longest
        if window and (full or unlike):
            yield window
            window = []
        if not window:
            longest = max(length, 1)
        window.append(place)
    if window:
        yield window


def in_windows(
    values: Sequence[Any],
    lengths: Sequence[int],
    most: int,
    call: Callable[[list[int], list[Any]], Sequence[Any]],
    extra: int = 0,
    *,
    same: bool = False,
) -> list[Any]:
    """What a model returns for values, in their order, called with one window after the other.

    :param call: called with the places of a window and its values; returns as many results.
    :param same: as of `length_windows`.
    """
    results: list[Any] = [None] * len(values)
    for window in length_windows(lengths, most, extra, same=same):
        returned = call(window, [values[place] for place in window])
        for place, result in zip(window, returned, strict=True):
            results[place] = result
    return results
