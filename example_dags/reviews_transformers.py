"""Score texts and chats with models of Hugging Face, each a folder on a stage as `save_pretrained` writes it.

Two small models are trained from nothing: one says of a review whether it is good or bad, one answers it. That needs
torch and transformers, in a Python environment of its own, which the parameter `python` names. With models that are
there already, this task is the download. The next task puts the folders on a stage and removes them here, so the two
run on one machine. Then a job classifies the reviews, and another one answers them, without code for the models.

Both run in Snowflake's container runtime, which has torch and transformers. On the local Snowflake they run in what
LOCAL_SNOWFLAKE_RUNTIME_PYTHON names. For vLLM, take an image of your own and a pool with GPUs, and leave `engine` out.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_snowflake_batch.jobs.models import ChatModel, HuggingFaceModel
from airflow_provider_snowflake_batch.jobs.specs import InputSpec, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

REVIEWS = [
    "a very good film",
    "a bad film and slow",
    "the story is good",
    "the story is very slow",
    "good and funny",
    "bad",
    "a funny story",
    "not funny and very bad",
]

with DAG(
    "reviews_transformers",
    description="Score texts and chats with models of Hugging Face",
    doc_md=__doc__,
    schedule=None,
    tags=["snowflake", "batch-inference"],
    params={
        "python": Param(
            "/opt/transformers/bin/python", type="string", description="A Python that has torch and transformers."
        ),
        "compute_pool": Param("REVIEWS_POOL", type="string", description="Created if it does not exist."),
    },
) as dag:

    @task.external_python(python="{{ params.python }}", expect_airflow=False)
    def train() -> str:
        """Train the models and save them; the folder where they are. This runs in the other environment, by itself."""
        import tempfile

        import torch
        import transformers
        from tokenizers import Tokenizer, models, pre_tokenizers

        good, bad = ("good", "funny"), ("bad", "slow")
        words = ["a", "the", "very", "film", "story", "is", "and", "not", "user", "assistant", "thanks", "sorry"]
        vocabulary = ["[PAD]", "[UNK]", "[END]", *good, *bad, *words]
        number = {word: place for place, word in enumerate(vocabulary)}
        folder = tempfile.mkdtemp()

        def tokenizer(place: str, **settings: object) -> None:
            inner = Tokenizer(models.WordLevel(number, unk_token="[UNK]"))
            inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
            transformers.PreTrainedTokenizerFast(
                tokenizer_object=inner,
                pad_token="[PAD]",
                unk_token="[UNK]",
                eos_token="[END]",
                **settings,
            ).save_pretrained(place)

        def learn(model: torch.nn.Module, **batch: torch.Tensor) -> None:
            optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
            for _ in range(60):
                optimizer.zero_grad()
                model(**batch).loss.backward()
                optimizer.step()

        torch.manual_seed(0)
        reviews = [
            f"{article} {word} {noun}" for article in ("a", "the") for word in (*good, *bad) for noun in words[3:5]
        ]
        is_good = [review.split()[1] in good for review in reviews]
        texts = torch.tensor([[number[word] for word in review.split()] for review in reviews])

        size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        labels = {0: "BAD", 1: "GOOD"}
        classifier = transformers.BertForSequenceClassification(
            transformers.BertConfig(
                vocab_size=len(vocabulary),
                max_position_embeddings=32,
                id2label=labels,
                label2id={label: place for place, label in labels.items()},
                **size,
            )
        )
        learn(classifier, input_ids=texts, labels=torch.tensor(is_good).long())
        classifier.save_pretrained(f"{folder}/sentiment")
        tokenizer(f"{folder}/sentiment", model_max_length=32)

        chat = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                vocab_size=len(vocabulary),
                num_key_value_heads=2,
                max_position_embeddings=64,
                pad_token_id=number["[PAD]"],
                bos_token_id=None,
                eos_token_id=number["[END]"],
                **size,
            )
        )
        answers = ["thanks" if ok else "sorry" for ok in is_good]
        whole = [f"user {ask} assistant {answer} [END]" for ask, answer in zip(reviews, answers, strict=True)]
        chats = torch.tensor([[number[word] for word in one.split()] for one in whole])
        learn(chat, input_ids=chats, labels=chats)
        chat.save_pretrained(f"{folder}/answers")
        template = "{% for message in messages %}{{ message['role'] }} {{ message['content'] }} {% endfor %}assistant"
        tokenizer(f"{folder}/answers", chat_template=template, padding_side="left")
        return folder

    @task
    def prepare(folder: str, params: dict[str, Any]) -> None:
        """Put the models on a stage, and the reviews into a table, as texts and as chats."""
        import json
        import shutil
        from pathlib import Path

        import pandas as pd

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
        from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

        pool = Identifier.parse(params["compute_pool"], field="compute_pool")
        hook = SnowflakeBatchHook("snowflake_default")
        hook.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 2 INSTANCE_FAMILY = CPU_X64_S",
                "CREATE OR REPLACE STAGE REVIEWS_MODELS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                "CREATE STAGE IF NOT EXISTS REVIEWS_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                hook.write_file(f"@REVIEWS_MODELS/{file.relative_to(folder).as_posix()}", file.read_bytes())
        shutil.rmtree(folder)
        chats = [json.dumps([{"role": "user", "content": review}]) for review in REVIEWS]
        reviews = pd.DataFrame({"REVIEW": range(len(REVIEWS)), "TEXT": REVIEWS, "MESSAGES": chats})
        with hook.get_snowpark_session() as session:
            session.create_dataframe(reviews).write.mode("overwrite").save_as_table("REVIEWS_TO_SCORE")

    classify = RunBatchOperator(
        task_id="classify",
        model=HuggingFaceModel("@REVIEWS_MODELS/sentiment", "text-classification"),
        X="SELECT REVIEW, TEXT FROM REVIEWS_TO_SCORE",
        compute_pool="{{ params.compute_pool }}",
        output_spec=OutputSpec("@REVIEWS_RESULTS/sentiment/", columns=["REVIEW"]),
        retries=2,
        deferrable=True,
    )
    answer = RunBatchOperator(
        task_id="answer",
        model=ChatModel("@REVIEWS_MODELS/answers", engine="transformers"),
        X="SELECT REVIEW, MESSAGES FROM REVIEWS_TO_SCORE",
        compute_pool="{{ params.compute_pool }}",
        input_spec=InputSpec(params={"temperature": 0, "max_completion_tokens": 4}),
        output_spec=OutputSpec("@REVIEWS_RESULTS/answers/", columns=["REVIEW"]),
        retries=2,
        deferrable=True,
    )

    @task
    def read(sentiment: str, answers: str) -> list[dict[str, Any]]:
        """Read the jobs' Parquet files: what the models say of each review."""
        import io

        import pandas as pd
        import pyarrow.parquet as pq

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        def results(location: str) -> pd.DataFrame:
            files = [file.path for file in hook.list_files(location, pattern=r".*/part-[^/]*\.parquet")]
            stage = location.partition("/")[0]
            parts = [pq.read_table(io.BytesIO(hook.read_file(f"{stage}/{path}"))).to_pandas() for path in files]
            return pd.concat(parts).astype({"REVIEW": int}).sort_values("REVIEW")

        with SnowflakeBatchHook("snowflake_default") as hook:
            said, written = results(sentiment), results(answers)
        return [
            {
                "review": REVIEWS[number],
                "label": label,
                "score": float(score),
                "answer": choices[0]["message"]["content"],
            }
            for number, label, score, choices in zip(
                said["REVIEW"], said["label"], said["score"], written["choices"], strict=True
            )
        ]

    prepare(train()) >> [classify, answer]
    read(classify.output["output_location"], answer.output["output_location"])
