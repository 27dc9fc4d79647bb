"""What runs a chat model: vLLM, or ``transformers``."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_snowflake_batch.contract.transformer_sources import ChatModel
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.chats import COLUMN, ChatAnswer, Sampling
from airflow_provider_snowflake_batch.worker.models.length_windows import in_windows
from airflow_provider_snowflake_batch.worker.models.transformer_folder import (
    default_batch_tokens,
    device_of,
    import_transformers,
)

Chat = list[dict[str, Any]]


class Engine(ABC):
    """A chat model in memory."""

    @abstractmethod
    def answer(self, chats: Sequence[Chat]) -> list[tuple[list[ChatAnswer], int]]:
        """For each chat its answers, and how many tokens it has itself."""

    def checked(self, chat: Chat) -> Chat:
        """The chat as the engine takes it.

        :raises ValueError: it holds what the engine cannot take.
        """
        return chat


class VllmEngine(Engine):
    """vLLM's offline engine (https://docs.vllm.ai/en/latest/serving/offline_inference.html), which batches by itself.

    :raises Exception: whatever vLLM raises for the model.
    """

    def __init__(self, model: ChatModel, sampling: Sampling) -> None:
        vllm = importlib.import_module("vllm")
        self._llm = vllm.LLM(model=str(model.path), **model.engine_arguments)
        # At temperature 0 vLLM takes no other number of answers than 1: the one answer is copied.
        self._copies = 1 if sampling.temperature > 0 else sampling.n
        self._sampling = vllm.SamplingParams(
            n=sampling.n // self._copies,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            # -1 means "all" in each version of vLLM, 0 in newer ones only.
            top_k=sampling.top_k or -1,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop) or None,
            seed=sampling.seed,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
        )

    def answer(self, chats: Sequence[Chat]) -> list[tuple[list[ChatAnswer], int]]:
        found = self._llm.chat(list(chats), sampling_params=self._sampling, use_tqdm=False)
        return [
            (
                [ChatAnswer(one.text, one.finish_reason or "stop", len(one.token_ids)) for one in answered.outputs]
                * self._copies,
                len(answered.prompt_token_ids),
            )
            for answered in found
        ]


class TransformersEngine(Engine):
    """``generate`` of ``transformers``, with chats of like lengths together.

    :raises Refused: a library is missing, the model has no chat template, or a parameter is vLLM's only.
    :raises Exception: whatever ``transformers`` raises for the model.
    """

    def __init__(self, model: ChatModel, sampling: Sampling) -> None:
        for name in ("presence_penalty", "frequency_penalty"):
            if getattr(sampling, name):
                raise Refused(f"the engine transformers has no parameter {name!r}; vLLM has")
        if sampling.seed is not None and sampling.temperature > 0:
            raise Refused(
                "the engine transformers has no parameter 'seed'; vLLM has. With temperature 0 nothing is drawn"
            )
        transformers, self._torch = import_transformers()
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(str(model.path))
        if not self._tokenizer.chat_template:
            raise Refused(f"model.path: the tokenizer in {model.path} has no chat_template")
        self._device = device_of(self._torch)
        loaded = transformers.AutoModelForCausalLM.from_pretrained(str(model.path), **model.engine_arguments)
        self._model = loaded.to(self._device).eval()
        self._sampling = sampling
        self._budget = model.batch_tokens or default_batch_tokens(self._device)
        ends = self._model.generation_config.eos_token_id
        ends = ends if ends is not None else self._tokenizer.eos_token_id
        self._ends = set(ends if isinstance(ends, (list, tuple)) else [ends]) - {None}
        padding = self._tokenizer.pad_token_id
        self._padding = padding if padding is not None else min(self._ends, default=0)

    def checked(self, chat: Chat) -> Chat:
        return [{**message, "content": _text(message["content"])} for message in chat]

    def answer(self, chats: Sequence[Chat]) -> list[tuple[list[ChatAnswer], int]]:
        prompts = [self._prompt(chat) for chat in chats]
        lengths = [len(prompt) for prompt in prompts]
        answers = in_windows(prompts, lengths, self._budget, self._generate, extra=self._sampling.max_tokens)
        return list(zip(answers, lengths, strict=True))

    def _prompt(self, chat: Chat) -> list[int]:
        text = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def _generate(self, _: Sequence[int], prompts: list[list[int]]) -> list[list[ChatAnswer]]:
        torch, n = self._torch, self._sampling.n
        longest = max(map(len, prompts))
        gaps = [longest - len(prompt) for prompt in prompts]
        ids = [[self._padding] * gap + prompt for gap, prompt in zip(gaps, prompts, strict=True)]
        mask = [[0] * gap + [1] * len(prompt) for gap, prompt in zip(gaps, prompts, strict=True)]
        with torch.inference_mode():
            written = self._model.generate(
                input_ids=torch.tensor(ids, device=self._device),
                attention_mask=torch.tensor(mask, device=self._device),
                pad_token_id=self._padding,
                stopping_criteria=[self._stops(longest)] if self._sampling.stop else None,
                **self._arguments(),
            )[:, longest:].tolist()
        found = [self._answer(tokens) for tokens in written]
        copies = n // (len(found) // len(prompts))
        each = len(found) // len(prompts)
        return [found[place * each : (place + 1) * each] * copies for place in range(len(prompts))]

    def _arguments(self) -> Mapping[str, Any]:
        given: dict[str, Any] = {"max_new_tokens": self._sampling.max_tokens}
        if self._sampling.temperature <= 0:
            # Without sampling, all answers are the same one. None replaces values of the model's own settings.
            return given | {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        drawn = {"temperature": self._sampling.temperature, "top_p": self._sampling.top_p}
        return (
            given | drawn | {"do_sample": True, "top_k": self._sampling.top_k, "num_return_sequences": self._sampling.n}
        )

    def _stops(self, start: int) -> Callable[..., Any]:
        """Tells of which chats the answer holds a text at which it ends.

        ``stop_strings`` of the library knows fewer kinds of tokenizers.
        """
        torch, stops = self._torch, self._sampling.stop
        # A token has at least one character, except special tokens: the others make up for these.
        tail = max(map(len, stops)) + 8

        def stopped(input_ids: Any, scores: Any, **_: Any) -> Any:
            texts = self._tokenizer.batch_decode(input_ids[:, start:][:, -tail:], skip_special_tokens=True)
            found = [any(stop in text for stop in stops) for text in texts]
            return torch.tensor(found, dtype=torch.bool, device=input_ids.device)

        return stopped

    def _answer(self, tokens: list[int]) -> ChatAnswer:
        """What was written for a chat; all after its end is padding."""
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        text = self._tokenizer.decode(tokens if end is None else tokens[:end], skip_special_tokens=True)
        stops = [place for stop in self._sampling.stop if (place := text.find(stop)) >= 0]
        if stops:
            return ChatAnswer(text[: min(stops)], "stop", len(_without_end(tokens, self._padding)))
        return ChatAnswer(text, "length", len(tokens)) if end is None else ChatAnswer(text, "stop", end + 1)


def _without_end(tokens: list[int], padding: int) -> list[int]:
    count = len(tokens)
    while count and tokens[count - 1] == padding:
        count -= 1
    return tokens[:count]


def _text(content: Any) -> str:
    """The text of a message.

    :raises ValueError: it has parts that are no text.
    """
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    if not parts or len(texts) != len(parts):
        raise ValueError(
            f"{COLUMN}: a message has content that is no text, which the engine transformers does not take; vLLM does"
        )
    return "\n".join(texts)
