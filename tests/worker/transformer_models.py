"""Models of Hugging Face with a few random weights, and their tokenizers, as ``save_pretrained`` writes them."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "mat", "fast", "slow", "and", "or", "not", "very", "good", "bad"]
WORDS += ["day", "night", "one", "two", "three", "four", "five", "six"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "<end>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }} {{ message['content'] }} <end> {% endfor %}"
    "{% if add_generation_prompt %}assistant{% endif %}"
)
RATE = 16000


def tokenizer(folder: Path, **settings: Any) -> Any:
    """Words as tokens; what is no known word is ``[UNK]``."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = [*SPECIAL, *WORDS, "user", "assistant", "system"]
    inner = Tokenizer(models.WordLevel({word: number for number, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    is_chat = "chat_template" in settings
    if not is_chat:
        inner.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        **({"eos_token": "<end>"} if is_chat else {"cls_token": "[CLS]", "sep_token": "[SEP]"}),
        **settings,
    )
    made.save_pretrained(folder)
    return made


def texts(count: int, seed: int = 0, most: int = 40) -> list[str]:
    """Texts of very different lengths."""
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=1 + int(random.exponential(8)) % most)) for _ in range(count)]


def save_text_classifier(folder: Path, labels: Sequence[str] = ("NEGATIVE", "POSITIVE", "NEUTRAL")) -> Path:
    import torch
    from transformers import BertForSequenceClassification

    torch.manual_seed(1)
    config = _bert(id2label=dict(enumerate(labels)), label2id={label: number for number, label in enumerate(labels)})
    BertForSequenceClassification(config).eval().save_pretrained(folder)
    tokenizer(folder, model_max_length=64)
    return folder


def save_encoder(folder: Path, **settings: Any) -> Path:
    import torch
    from transformers import BertModel

    torch.manual_seed(2)
    BertModel(_bert()).eval().save_pretrained(folder)
    tokenizer(folder, model_max_length=64, **settings)
    return folder


def _bert(**settings: Any) -> Any:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS) + 3,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        # Large weights, so that texts differ.
        initializer_range=0.5,
        **settings,
    )


def save_image_classifier(folder: Path, labels: Sequence[str] = ("cat", "dog", "bird", "fish", "horse", "cow")) -> Path:
    """One for images of 16 by 16 points."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(3)
    names = dict(enumerate(labels))
    config = ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        image_size=16,
        patch_size=8,
        id2label=names,
        label2id={name: number for number, name in names.items()},
        initializer_range=0.5,
    )
    ViTForImageClassification(config).eval().save_pretrained(folder)
    processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def picture(seed: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    points = np.random.default_rng(seed).integers(0, 256, (16 + seed % 3, 20, 3), dtype=np.uint8)
    Image.fromarray(points).save(file, "PNG")
    return file.getvalue()


def save_speech_recogniser(folder: Path) -> Path:
    """A model that spells what it hears (CTC); what it says is noise."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    torch.manual_seed(4)
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=RATE, return_attention_mask=True).save_pretrained(folder)
    config = Wav2Vec2Config(
        vocab_size=len(letters),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8, 8, 8, 8, 8, 8),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        initializer_range=0.5,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        mask_time_prob=0.0,
    )
    Wav2Vec2ForCTC(config).eval().save_pretrained(folder)
    return folder


def sound(seed: int, seconds: float = 0.5, rate: int = RATE, channels: int = 1) -> bytes:
    """A WAV file with noise."""
    random = np.random.default_rng(seed)
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(channels)
        opened.setsampwidth(2)
        opened.setframerate(rate)
        opened.writeframes(random.integers(-20000, 20000, int(seconds * rate) * channels).astype("<i2").tobytes())
    return file.getvalue()


def save_chat_model(folder: Path, *, head_size: int = 8) -> Path:
    """:param head_size: numbers for each token and attention head; vLLM computes no fewer than 32 on a processor."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(5)
    made = tokenizer(folder, chat_template=CHAT_TEMPLATE, padding_side="left")
    config = LlamaConfig(
        vocab_size=len(made),
        hidden_size=2 * head_size,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.5,
        eos_token_id=made.eos_token_id,
        pad_token_id=made.pad_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).eval().save_pretrained(folder)
    return folder


def save_chat_model_without_weights(folder: Path) -> Path:
    """What there is to know of a chat model that nobody loads: another engine answers in its place."""
    folder.mkdir(parents=True)
    config = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 8, "vocab_size": 8}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHAT_TEMPLATE}))
    return folder
