"""SQLAlchemy through snowflake-sqlalchemy."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from tests.local.clients.catalogue import Client, Local, raising

CLIENT = Client(
    title="SQLAlchemy (snowflake-sqlalchemy)",
    distribution="snowflake-sqlalchemy",
    module="sqlalchemy",
    requires=("snowflake.sqlalchemy", "snowflake.connector"),
)


@contextmanager
def engine(local: Local) -> Iterator[Any]:
    from snowflake.sqlalchemy import URL
    from sqlalchemy import create_engine

    options = local.options
    direct = ("protocol", "platform_detection_timeout_seconds", "login_timeout")
    arguments = {name: options.pop(name) for name in direct}
    created = create_engine(URL(**options), connect_args=arguments)
    try:
        yield created
    finally:
        created.dispose()


def models() -> tuple[Any, Any, Any]:
    from sqlalchemy import Boolean, Column, Date, DateTime, Float, Integer, Numeric, Sequence, String
    from sqlalchemy.orm import declarative_base

    base: Any = declarative_base()

    class Model(base):
        __tablename__ = "models"
        id = Column(Integer, Sequence("model_ids"), primary_key=True)
        name = Column(String(40), nullable=False)

    class Run(base):
        __tablename__ = "runs"
        id = Column(Integer, Sequence("run_ids"), primary_key=True)
        model_id = Column(Integer)
        score = Column(Float)
        cost = Column(Numeric(10, 2))
        day = Column(Date)
        at = Column(DateTime)
        good = Column(Boolean)

    return base, Model, Run


@CLIENT.works("`text` with parameters")
def parameters(local: Local) -> None:
    from sqlalchemy import text

    with engine(local) as opened, opened.connect() as connection:
        row = connection.execute(text("SELECT :a AS A, :b AS B"), {"a": 1, "b": "it's"}).one()
        assert (row.a, row.b) == (1, "it's")


@CLIENT.works("`create_all`, `drop_all`, reflection of tables, columns, keys")
def reflection(local: Local) -> None:
    from sqlalchemy import MetaData, Table, inspect

    base, _, _ = models()
    with engine(local) as opened:
        base.metadata.create_all(opened)
        base.metadata.create_all(opened)
        inspector = inspect(opened)
        assert sorted(inspector.get_table_names()) == ["models", "runs"]
        assert local.schema.lower() in inspector.get_schema_names()
        columns = {column["name"]: column for column in inspector.get_columns("runs")}
        assert {name: type(column["type"]).__name__.removeprefix("_CUSTOM_") for name, column in columns.items()} == {
            "id": "DECIMAL", "model_id": "DECIMAL", "score": "FLOAT", "cost": "DECIMAL",
            "day": "DATE", "at": "TIMESTAMP_NTZ", "good": "BOOLEAN",
        }, columns  # fmt: skip
        assert (columns["cost"]["type"].precision, columns["cost"]["type"].scale) == (10, 2)
        assert inspector.get_columns("models")[1]["nullable"] is False
        assert inspector.get_pk_constraint("models")["constrained_columns"] == ["id"]
        reflected = MetaData()
        reflected.reflect(opened)
        assert sorted(reflected.tables) == ["models", "runs"]
        # A single table is asked for in other words, INFORMATION_SCHEMA's.
        assert Table("runs", MetaData(), autoload_with=opened).columns.keys() == list(columns)
        base.metadata.drop_all(opened)
        assert inspect(opened).get_table_names() == []


@CLIENT.works("ORM: insert, select, join, update, delete")
def orm(local: Local) -> None:
    from sqlalchemy import func, select
    from sqlalchemy.orm import Session

    base, model_class, run_class = models()
    at = datetime.datetime(2024, 2, 29, 12, 30, 15)
    with engine(local) as opened:
        base.metadata.create_all(opened)
        with Session(opened) as session:
            model = model_class(name="it's a model")
            session.add(model)
            session.flush()
            assert model.id == 1, "the next number of its sequence"
            full = run_class(score=0.5, cost=Decimal("1.25"), day=at.date(), at=at, good=True, model_id=model.id)
            session.add_all([full, run_class(good=False, model_id=model.id)])
            session.commit()
        with Session(opened) as session:
            run = session.scalars(select(run_class).where(run_class.good)).one()
            assert (run.score, run.cost, run.day, run.at) == (0.5, Decimal("1.25"), at.date(), at)
            joined = select(model_class.name, func.count(run_class.id)).join(
                run_class, run_class.model_id == model_class.id
            )
            query = joined.group_by(model_class.name)
            assert session.execute(query).all() == [("it's a model", 2)]
            run.score = 0.75
            session.commit()
            assert session.scalar(select(func.max(run_class.score))) == 0.75
            session.delete(run)
            session.commit()
            assert session.scalar(select(func.count()).select_from(run_class)) == 1


@CLIENT.works("foreign keys, also by reflection")
def foreign_keys(local: Local) -> None:
    from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, inspect

    metadata = MetaData()
    Table("parents", metadata, Column("id", Integer, primary_key=True))
    Table("children", metadata, Column("parent_id", Integer, ForeignKey("parents.id")))
    with engine(local) as opened:
        metadata.create_all(opened)
        (key,) = inspect(opened).get_foreign_keys("children")
        assert (key["constrained_columns"], key["referred_table"]) == (["parent_id"], "parents")
        assert key["referred_columns"] == ["id"]


@CLIENT.works("transactions: `begin`, `rollback`")
def transactions(local: Local) -> None:
    from sqlalchemy import text

    with engine(local) as opened:
        with opened.begin() as connection:
            connection.execute(text("CREATE TABLE T (A INT)"))
        with raising(ZeroDivisionError), opened.begin() as connection:
            connection.execute(text("INSERT INTO T VALUES (1)"))
            raise ZeroDivisionError
        with opened.connect() as connection:
            assert connection.execute(text("SELECT COUNT(*) FROM T")).scalar() == 0


@CLIENT.works("pandas: `to_sql`, `read_sql`")
def pandas_frames(local: Local) -> None:
    import pandas as pd

    frame = pd.DataFrame({"id": range(1000), "name": [f"n{number}" for number in range(1000)], "x": [0.25] * 1000})
    with engine(local) as opened:
        frame.to_sql("frames", opened, index=False, chunksize=500, method="multi")
        frame[:10].to_sql("frames", opened, index=False, if_exists="append")
        read = pd.read_sql("SELECT * FROM FRAMES WHERE ID >= 10 ORDER BY ID", opened)
        pd.testing.assert_frame_equal(read, frame[10:].reset_index(drop=True), check_dtype=False)
        table = pd.read_sql_table("frames", opened)
        assert len(table) == 1010


@CLIENT.works("pandas: `to_sql` with `pd_writer`")
def pd_writer(local: Local) -> None:
    import pandas as pd
    from snowflake.connector.pandas_tools import pd_writer as writer

    frame = pd.DataFrame({"ID": range(500), "NAME": [None, "x"] * 250})
    with engine(local) as opened:
        frame.to_sql("written", opened, index=False, method=writer)
        read = pd.read_sql("SELECT * FROM WRITTEN ORDER BY ID", opened)
        assert read["id"].tolist() == list(range(500))
        assert int(read["name"].isna().sum()) == 250


@CLIENT.works("semi-structured columns, `MERGE`")
def semi_structured(local: Local) -> None:
    import json

    from snowflake.sqlalchemy import VARIANT, MergeInto
    from sqlalchemy import Column, Integer, MetaData, String, Table, select, text
    from sqlalchemy.orm import Session

    metadata = MetaData()
    target = Table(
        "target", metadata, Column("id", Integer, primary_key=True, autoincrement=False), Column("name", String)
    )
    source = Table(
        "source", metadata, Column("id", Integer, primary_key=True, autoincrement=False), Column("name", String)
    )
    documents = Table("documents", metadata, Column("id", Integer), Column("body", VARIANT))
    with engine(local) as opened:
        metadata.create_all(opened)
        with Session(opened) as session:
            session.execute(target.insert().values([{"id": 1, "name": "old"}, {"id": 2, "name": "kept"}]))
            session.execute(source.insert().values([{"id": 1, "name": "new"}, {"id": 3, "name": "added"}]))
            merge = MergeInto(target=target, source=source, on=target.c.id == source.c.id)
            merge.when_matched_then_update().values(name=source.c.name)
            merge.when_not_matched_then_insert().values(id=source.c.id, name=source.c.name)
            session.execute(merge)
            session.execute(text("INSERT INTO documents SELECT 1, PARSE_JSON('{\"a\": [1, 2]}')"))
            session.commit()
            rows = session.execute(select(target).order_by(target.c.id)).all()
            assert rows == [(1, "new"), (2, "kept"), (3, "added")]
            assert json.loads(session.execute(select(documents.c.body)).scalar_one()) == {"a": [1, 2]}
