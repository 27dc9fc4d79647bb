"""OpenAI-style chats: what a row holds, and the completion that is returned for it.

Columns and fields are those of a chat completion (https://platform.openai.com/docs/api-reference/chat/object), as
Snowflake's batch inference returns them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COLUMN = "messages"
OUTPUTS = frozenset({"id", "object", "created", "model", "choices", "usage"})


@dataclass(frozen=True)
class Answer:
    """One answer to a chat.

    :param reason: why it ended, ``stop`` or ``length``.
    :param tokens: how many it has.
    """

    text: str
    reason: str
    tokens: int


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
    chat: str, model: str, answers: Sequence[Answer], prompt_tokens: int, *, created: float
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
