"""Stage paths inside OpenAI-style chat messages: the engine gets the files instead.

A column ``messages`` holds a chat as JSON text. In it, ``image_url.url`` and ``video_url.url`` may be full stage paths,
which become data URLs, and so may ``input_audio.data``, which becomes base64 text with its format beside it, as in
Snowflake's batch inference (https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs).
Everything else in a message stays as it is.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding
from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input.read_ahead import Admit, freely
from airflow_provider_snowflake_batch.worker.stage_files.files import StageFiles

CHAT_COLUMN = "MESSAGES"
_URLS = ("image_url", "video_url")


class ChatFiles:
    """Rewrites chats.

    :param files: where the paths lead.
    """

    def __init__(self, files: StageFiles) -> None:
        self._files = files

    def inline(self, text: str | None, admit: Admit = freely) -> str | None:
        """The chat with the files that it names in place of their paths; a text that is no chat, as it is.

        :param admit: asked for the memory of each file.
        :raises DataError: a file cannot be had.
        """
        if text is None or "@" not in text:
            return text
        try:
            chat = json.loads(text)
        except (ValueError, RecursionError):
            return text
        changed = [self._part(part, admit) for message in _list(chat) for part in _list(_field(message, "content"))]
        if not any(changed):
            return text
        rewritten = json.dumps(chat, ensure_ascii=False)
        try:
            rewritten.encode()
        except UnicodeEncodeError:
            # Half of a character can be written in JSON, as an escape, and in no text.
            return json.dumps(chat)
        return rewritten

    def _part(self, part: Any, admit: Admit) -> bool:
        """Rewrite one part of a message in place; whether there was something to rewrite."""
        for name in _URLS:
            value = _field(part, name)
            # The short form {"image_url": "…"} is accepted by most engines beside {"image_url": {"url": "…"}}.
            holder, key = (part, name) if isinstance(value, str) else (value, "url")
            path = _field(holder, key)
            if _is_stage_path(path):
                holder[key] = self._files.load(path, FileEncoding.BASE64_DATA_URL, admit)
                return True
        audio = _field(part, "input_audio")
        path = _field(audio, "data")
        if _is_stage_path(path):
            ending = PurePosixPath(path).suffix.lower().lstrip(".")
            if not audio.get("format") and not ending:
                raise DataError(f"file {path!r}: the audio's format is neither stated nor in the file's name")
            audio["data"] = self._files.load(path, FileEncoding.BASE64, admit)
            audio.setdefault("format", ending)
            return True
        return False


def _is_stage_path(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("@")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
