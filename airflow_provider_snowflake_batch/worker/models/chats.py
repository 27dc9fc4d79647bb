"""OpenAI-style chats: what a row holds, and the completion that is returned for it.

Columns and fields are those of a chat completion (https://platform.openai.com/docs/api-reference/chat/object), as
Snowflake's batch inference returns them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_snowflake_batch.worker.errors import Refused

COLUMN = "messages"
OUTPUTS = frozenset({"id", "object", "created", "model", "choices", "usage"})


@dataclass(frozen=True)
class ChatAnswer:
    """One answer to a chat.

    :param reason: why it ended, ``stop`` or ``length``.
    :param tokens: how many it has.
    """

    text: str
    reason: str
    tokens: int


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn. Defaults are those of ``snowflake.ml.model.openai_signatures``.

    :param n: answers to each chat.
    :param temperature: 0 for the likeliest answer, the same each time.
    :param top_k: 0 for all.
    :param max_tokens: the most of an answer.
    :param stop: texts at which an answer ends, before them.
    """

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 250
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Sampling:
        """From a job's params, which have OpenAI's names; None counts as not given.

        :raises Refused: one is unknown, or no such value.
        """
        given: dict[str, Any] = {}
        for name, value in params.items():
            if name not in _RANGES:
                raise Refused(f"chats have no parameter {name!r}; they take {', '.join(_RANGES)}")
            if value is None:
                continue
            field, least, most, whole = _RANGES[name]
            if field == "stop":
                texts = [value] if isinstance(value, str) else value
                if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
                    raise Refused(f"the parameter stop is a text or a list of texts, not {value!r}")
                given[field] = tuple(texts)
                continue
            kinds = (int,) if whole else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
                kind = "a whole number" if whole else "a number"
                raise Refused(f"the parameter {name} is {kind} from {least} to {most}, not {value!r}")
            given[field] = value if whole else float(value)
        return cls(**given)


# By OpenAI's name: the field, its range, and whether it is a whole number.
_RANGES: Mapping[str, tuple[str, float, float, bool]] = {
    "n": ("n", 1, 128, True),
    "temperature": ("temperature", 0, 2, False),
    "top_p": ("top_p", 0.000001, 1, False),
    "top_k": ("top_k", 0, 10**6, True),
    "max_completion_tokens": ("max_tokens", 1, 10**6, True),
    "stop": ("stop", 0, 0, False),
    "seed": ("seed", 0, 2**63 - 1, True),
    "presence_penalty": ("presence_penalty", -2, 2, False),
    "frequency_penalty": ("frequency_penalty", -2, 2, False),
}


def messages_of(text: Any) -> list[dict[str, Any]]:
    """The messages of a chat, from JSON text.

    :raises ValueError: the text is no chat.
    """
    try:
        messages = json.loads(text) if isinstance(text, str) else None
    except ValueError as error:
        raise ValueError(f"{COLUMN} is not JSON: {error}") from None
    if not isinstance(messages, list) or not messages:
        raise ValueError(f"{COLUMN} must be a JSON list of messages with role and content")
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str) or "content" not in message:
            raise ValueError(f"{COLUMN}: a message without role or content: {json.dumps(message)[:100]}")
    return messages


def completion(
    chat: str, model: str, answers: Sequence[ChatAnswer], prompt_tokens: int, *, created: float
) -> dict[str, Any]:
    """The chat completion for a chat.

    :param chat: its text; the completion's id depends on it alone.
    :param model: the model's name.
    :param created: seconds since 1970.
    """
    completion_tokens = sum(answer.tokens for answer in answers)
    return {
        "id": f"chatcmpl-{hashlib.sha256(chat.encode()).hexdigest()[:24]}",
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": index,
                "message": {"content": answer.text, "name": None, "role": "assistant"},
                "logprobs": None,
                "finish_reason": answer.reason,
            }
            for index, answer in enumerate(answers)
        ],
        "usage": {
            "completion_tokens": completion_tokens,
            "prompt_tokens": prompt_tokens,
            "total_tokens": completion_tokens + prompt_tokens,
        },
    }
