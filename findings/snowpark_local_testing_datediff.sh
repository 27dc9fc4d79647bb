#!/usr/bin/env bash
# DATEDIFF in the local testing mode of Snowpark counts whole periods that have passed; Snowflake counts how often the
# part of the date changes: from 31 December to 1 January it is one year, from 01:59 to 02:01 one hour.
# Who is hurt: features such as age, tenure and hours since the last event differ by one between tests and account.
# Instead: subtract what is meant: year(b) - year(a), or seconds by date_part("epoch_second") divided by their number.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    'snowflake-snowpark-python[localtest]==1.56.0' pandas==3.1.1 numpy==2.4.6
cd "$folder"
venv/bin/python - snowflake-snowpark-python pandas numpy <<'PYTHON'
import logging
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

from snowflake.snowpark import Session
from snowflake.snowpark.functions import datediff, lit, to_timestamp

session = Session.builder.config("local_testing", True).create()
ASKED = {
    "year": ("2023-12-31 00:00:00", "2024-01-01 00:00:00"),
    "month": ("2024-01-31 00:00:00", "2024-02-01 00:00:00"),
    "week": ("2024-01-07 00:00:00", "2024-01-08 00:00:00"),
    "day": ("2024-01-01 23:59:00", "2024-01-02 00:01:00"),
    "hour": ("2024-01-01 01:59:00", "2024-01-01 02:01:00"),
    "minute": ("2024-01-01 01:59:59", "2024-01-01 02:00:01"),
    "a whole year": ("2023-01-01 00:00:00", "2024-01-01 00:00:00"),
}
one_row = session.create_dataframe([[1]], ["A"])
seen = {
    name: one_row.select(
        datediff(name.removeprefix("a whole "), to_timestamp(lit(begin)), to_timestamp(lit(end)))
    ).collect()[0][0]
    for name, (begin, end) in ASKED.items()
}

# Rule: https://docs.snowflake.com/en/sql-reference/functions/datediff#usage-notes: only the named part and those above
# it count, so that DATEDIFF(year, '2023-12-31', '2024-01-01') is 1. Weeks begin on Mondays.
expected = dict.fromkeys(ASKED, 1)
recorded = dict.fromkeys(ASKED, 0) | {"a whole year": 1}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
