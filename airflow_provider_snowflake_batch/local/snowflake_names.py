"""Which statements, functions and clauses Snowflake has, by name: what this server lacks of them it refuses in other
words than what Snowflake would refuse, too.

Sources: https://docs.snowflake.com/en/sql-reference/sql-all, https://docs.snowflake.com/en/sql-reference/functions-all.
"""

from __future__ import annotations

import functools
import re
from importlib import resources

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported, syntax_error
from airflow_provider_snowflake_batch.local.parsing import Token, tokenize

# What can be created, altered, described, dropped and shown.
_KINDS = """
ACCOUNT; AGENT; AGGREGATION POLICY; ALERT; API INTEGRATION; APPLICATION; APPLICATION PACKAGE; APPLICATION ROLE;
ARTIFACT REPOSITORY; AUTHENTICATION POLICY; BACKUP POLICY; BACKUP SET; CATALOG INTEGRATION; COMPUTE POOL; CONNECTION;
CONTACT; CORTEX SEARCH SERVICE; DATA METRIC FUNCTION; DATABASE; DATABASE ROLE; DATASET; DBT PROJECT; DYNAMIC TABLE;
EVENT TABLE; EXTERNAL ACCESS INTEGRATION; EXTERNAL AGENT; EXTERNAL FUNCTION; EXTERNAL TABLE; EXTERNAL VOLUME;
FAILOVER GROUP; FEATURE POLICY; FILE FORMAT; FUNCTION; GATEWAY; GIT REPOSITORY; HYBRID TABLE; ICEBERG TABLE;
IMAGE REPOSITORY; INDEX; INTEGRATION; INTERACTIVE TABLE; INTERACTIVE WAREHOUSE; JOIN POLICY; LISTING;
MAINTENANCE POLICY; MANAGED ACCOUNT; MASKING POLICY; MATERIALIZED VIEW; MCP SERVER; MODEL; MODEL MONITOR;
NETWORK POLICY; NETWORK RULE; NOTEBOOK; NOTEBOOK PROJECT; NOTIFICATION INTEGRATION; OFFER; ONLINE FEATURE TABLE;
ORGANIZATION ACCOUNT; ORGANIZATION LISTING; ORGANIZATION PROFILE; ORGANIZATION USER; ORGANIZATION USER GROUP;
PACKAGES POLICY; PASSWORD POLICY; PIPE; POSTGRES INSTANCE; PRICING PLAN; PRIVACY POLICY; PROCEDURE; PROJECTION POLICY;
PROVISIONED THROUGHPUT; REPLICATION GROUP; RESOURCE MONITOR; ROLE; ROW ACCESS POLICY; SCHEMA; SECRET;
SECURITY INTEGRATION; SEMANTIC VIEW; SEQUENCE; SERVICE; SESSION; SESSION POLICY; SHARE; SNAPSHOT; SNAPSHOT POLICY;
SNAPSHOT SET; STAGE; STORAGE INTEGRATION; STORAGE LIFECYCLE POLICY; STREAM; STREAMLIT; TABLE; TAG; TASK; TYPE; USER;
VIEW; WAREHOUSE; WORKSPACE
"""
_ONLY_SHOWN = """
AVAILABLE LISTINGS; AVAILABLE ORGANIZATION PROFILES; CALLER GRANTS; CHANNELS; CLASSES; COLUMNS; CONFIGURATIONS;
DATA CLOUD PROFILES; DATABASES IN FAILOVER GROUP; DELEGATED AUTHORIZATIONS; ENDPOINTS; EXPORTED KEYS;
FUTURE GRANTS; GIT BRANCHES; GIT TAGS; GLOBAL ACCOUNTS; GRANTS; IMPORTED KEYS; INSTANCES; LOCKS; OBJECTS;
OPENFLOW DATA PLANE INTEGRATIONS; PARAMETERS; PRIMARY KEYS; PRIVILEGES; REGIONS; REFERENCES; RELEASE CHANNELS;
RELEASE DIRECTIVES; REPLICATION ACCOUNTS; REPLICATION DATABASES; SEMANTIC DIMENSIONS; SEMANTIC FACTS;
SEMANTIC METRICS; SHARED CONTENT; TRANSACTIONS; UNIQUE KEYS; USER FUNCTIONS; USER PROCEDURES;
USER PROGRAMMATIC ACCESS TOKENS; VARIABLES; VERSIONS; WORKLOADS
"""
_OTHERS = """
BEGIN; CALL; COMMENT; COMMIT; COPY FILES; COPY INTO; DECLARE; DELETE; DESCRIBE RESULT; DESCRIBE SEARCH OPTIMIZATION;
EXECUTE ALERT; EXECUTE DBT PROJECT; EXECUTE IMMEDIATE; EXECUTE INFERENCE JOB SERVICE; EXECUTE JOB SERVICE;
EXECUTE NOTEBOOK; EXECUTE NOTEBOOK PROJECT; EXECUTE TASK; EXPLAIN; GET; GRANT; INSERT; LIST; LS; MERGE; PUT; REMOVE;
REVOKE; RM; ROLLBACK; SELECT; SET; START TRANSACTION; TRUNCATE; UNSET; UPDATE; USE; VALUES; WITH
"""
# What may stand between the verb and the kind.
_BETWEEN = {
    "OR", "REPLACE", "ALTER", "TEMP", "TEMPORARY", "TRANSIENT", "VOLATILE", "LOCAL", "GLOBAL", "SECURE", "RECURSIVE",
    "TERSE", "BUILTIN", "SCOPED", "AGGREGATE", "IF", "NOT", "EXISTS", "PRIVATE", "OVERLAY",
}  # fmt: skip
# The SQL engine runs some form of these: what it does not take of them may be a mistake.
_PARTLY_RUN = {
    *((verb, kind) for verb in ("ALTER", "CREATE", "DROP") for kind in ("SEQUENCE", "TABLE", "VIEW")),
    *((verb,) for verb in ("BEGIN", "COMMENT", "COMMIT", "DELETE", "INSERT", "MERGE", "ROLLBACK", "SELECT")),
    *((verb,) for verb in ("TRUNCATE", "UPDATE", "VALUES", "WITH")),
    ("START", "TRANSACTION"),
}
_VERBS = {"ALTER", "CREATE", "DESC", "DESCRIBE", "DROP", "SHOW", "UNDROP"}
# Clauses that sqlglot, fakesnow or DuckDB would drop or take for something else.
_CLAUSES = tuple(
    (re.compile(rf"\b{words}" if words[0].isalpha() else words), what)
    for words, what in (
        (r"(AT|BEFORE) \( (OFFSET|TIMESTAMP|STATEMENT|STREAM) =>", "Time Travel (AT, BEFORE)"),
        (r"(INSERT|UPDATE) ALL BY NAME\b", "ALL BY NAME in a MERGE (a list of columns does the same)"),
        (r"INSERT OVERWRITE (ALL|FIRST)\b", "INSERT OVERWRITE into several tables"),
        (r"CHANGES \( INFORMATION =>", "CHANGES"),
        (r"MATCH_RECOGNIZE \(", "MATCH_RECOGNIZE"),
        (r"RESAMPLE \(", "RESAMPLE"),
        (r"SEMANTIC_VIEW \(", "SEMANTIC_VIEW"),
        (r"AS PROCEDURE \(", "An anonymous procedure (WITH … AS PROCEDURE)"),
        (r"(AGGREGATION|JOIN|MASKING|PROJECTION|ROW ACCESS|STORAGE LIFECYCLE) POLICY\b", "A policy"),
        (r"(SET|UNSET|WITH) TAG\b", "A TAG"),
        (r"TAG \( \w+ =", "A TAG"),
        (r"SEARCH OPTIMIZATION\b", "SEARCH OPTIMIZATION"),
        (r"[\w)] FOR UPDATE\b", "SELECT … FOR UPDATE"),
        (r"- > >", "The pipe operator ->>"),
        (
            r"SNOWFLAKE \. (\w+_USAGE|AI|ALERT|BILLING|CORE|CORTEX|DATA_PRIVACY|LOCAL|ML|NOTIFICATION|TRUST_CENTER)\b",
            "This part of the database SNOWFLAKE",
        ),
        (r"[(,] CHECK \(|[\w)] CHECK \(", "A CHECK constraint"),
        (
            r"[&^~]|<= >|< <|(?<!-) > >|(?<!\|)\|(?!\|)",
            "An operator of bits or <=> (an account lacks them, too; BITAND, BITSHIFTLEFT, EQUAL_NULL … do the same)",
        ),
    )
)
_MAY_HOLD_CLAUSE = re.compile(
    r"\b(AT|BEFORE|CHANGES|MATCH_RECOGNIZE|RESAMPLE|SEMANTIC_VIEW|SNOWFLAKE|PROCEDURE|POLICY|TAG|SEARCH|UPDATE|CHECK|OVERWRITE|BY\s+NAME)\b"
    r"|->>|[&^~]|<=>|<<|>>|(?<!\|)\|(?!\|)",
    re.IGNORECASE,
)


def has_function(name: str) -> bool:
    """Whether Snowflake has a function of this name, in upper case."""
    return name in _FUNCTIONS


# BEGIN alone, and with these words, begins a transaction.
_SCRIPT = re.compile(r"\s*(DECLARE\s+\w|BEGIN\s+(?!\s|;|--|/|TRANSACTION\b|WORK\b|NAME\b))", re.IGNORECASE)


def _read_functions() -> frozenset[str]:
    text = resources.files(__package__).joinpath("snowflake_functions.txt").read_text(encoding="ascii")
    return frozenset(name for line in text.splitlines() if not line.startswith("#") for name in line.split())


# Read once, with the module: a statement needs it also when no file can be opened.
_FUNCTIONS = _read_functions()


@functools.cache
def _beginnings() -> frozenset[tuple[str, ...]]:
    def listed(text: str) -> list[str]:
        return [" ".join(one.split()) for one in text.split(";")]

    found = {*listed(_OTHERS), *(f"SHOW {one}" for one in listed(_ONLY_SHOWN))}
    for kind in listed(_KINDS):
        plural = f"{kind[:-1]}IES" if kind.endswith("CY") else f"{kind}S"
        plural = f"{plural[:-3]}IES" if kind.endswith("ORY") else f"{kind}ES" if kind.endswith("DEX") else plural
        found |= {f"{verb} {kind}" for verb in _VERBS} | {f"SHOW {plural}"}
    return frozenset(tuple(one.split()) for one in found)


def statement_words(tokens: list[Token]) -> tuple[str, ...] | None:
    """The longest beginning of a statement that Snowflake has, without OR REPLACE and the like; None if it has none."""
    words = [token.value for token in tokens[:9] if token.kind == "word"]
    if words[:1] and words[0] in _VERBS:
        rest = words[1:]
        while rest and rest[0] in _BETWEEN:
            del rest[0]
        words = [words[0], *rest]
    for length in range(min(len(words), 5), 0, -1):
        if tuple(words[:length]) in _beginnings():
            return tuple(words[:length])
    return None


def refused_statement(text: str) -> SnowflakeError:
    """The error for a statement that this server does not know: another if Snowflake has it than if it has not."""
    tokens = tokenize(text)
    words = statement_words(tokens)
    if words is not None and words in _PARTLY_RUN:
        return not_supported(f"This form of {' '.join(words)} ({' '.join(token.text for token in tokens[:6])} …)")
    if words is not None:
        return not_supported(f"The statement {' '.join(words)}")
    first = tokens[0].text if tokens else ""
    if len(tokens) > 1 and tokens[0].kind == "word" and tokens[0].value in _VERBS:
        return syntax_error(f"line 1 at position {tokens[1].start} unexpected '{tokens[1].text}'.")
    return syntax_error(f"line 1 at position {tokens[0].start if tokens else 0} unexpected '{first}'.")


def refused_beginning(text: str) -> SnowflakeError | None:
    """The error for a statement of which this server runs no form and Snowflake does; None for any other."""
    words = statement_words(tokenize(text))
    return None if words is None or words in _PARTLY_RUN else not_supported(f"The statement {' '.join(words)}")


def refuse_clauses(text: str) -> None:
    """:raises SnowflakeError: "not supported" for a clause that Snowflake has and this server would drop or mistake."""
    if _MAY_HOLD_CLAUSE.search(text) is None:
        return
    # Neither literals, nor quoted names, nor comments are clauses.
    words = " ".join(token.value if token.kind in ("word", "symbol") else "x" for token in tokenize(text))
    for pattern, what in _CLAUSES:
        if pattern.search(words):
            raise not_supported(what)


def refuse_script(text: str) -> None:
    """:raises SnowflakeError: "not supported" for a block of Snowflake Scripting, whose semicolons end no statement."""
    if _SCRIPT.match(text):
        raise not_supported("Snowflake Scripting (send its statements one by one)")
