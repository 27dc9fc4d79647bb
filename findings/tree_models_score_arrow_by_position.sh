#!/usr/bin/env bash
# XGBoost checks the names and the order of a pandas frame's columns and refuses a wrong order. An Arrow table or a
# Polars frame with the very same names is scored by position, wrong order or not, although the names are there.
# LightGBM's validate_features=True, which refuses a reordered pandas frame, does nothing for an Arrow table (its
# documentation says so in half a sentence: pandas only).
# Who is hurt: batch jobs moved from pandas to Arrow for speed; a query or a writer that reorders columns changes all
# scores.
# Instead: select by the model's own names: table.select(list(model.feature_names_in_)) (or booster.feature_name()).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    cffi==2.1.1 lightgbm==4.7.0 numpy==2.4.6 pandas==3.1.1 polars==2.1.0 pyarrow==26.0.1 \
    scikit-learn==1.9.1 xgboost-cpu==3.2.0
cd "$folder"
venv/bin/python - cffi lightgbm numpy pandas polars pyarrow scikit-learn xgboost-cpu <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import xgboost

rng = np.random.default_rng(3)
rows = pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300)})
turned = rows[["b", "a"]]
target = 10 * rows["a"]


def outcome(predict):
    """'refused', or whether the scores are those of the right columns."""
    try:
        scores = np.asarray(predict())
    except (ValueError, lightgbm.basic.LightGBMError):
        return "refused"
    return "right" if np.corrcoef(scores, target)[0, 1] > 0.9 else "scored by position"


xgb = xgboost.XGBRegressor(n_estimators=20, n_jobs=1).fit(rows, target)
lgb = lightgbm.LGBMRegressor(n_estimators=40, n_jobs=1, verbose=-1).fit(rows, target)
arrow = pa.Table.from_pandas(turned)
seen = {
    "xgboost, pandas": outcome(lambda: xgb.predict(turned)),
    "xgboost, Arrow": outcome(lambda: xgb.predict(arrow)),
    "xgboost, Polars": outcome(lambda: xgb.predict(pl.from_arrow(arrow))),
    "lightgbm, pandas": outcome(lambda: lgb.predict(turned, validate_features=True)),
    "lightgbm, Arrow": outcome(lambda: lgb.predict(arrow, validate_features=True)),
}
# Rule: XGBoost, Booster.inplace_predict and predict: with validate_features (true by default) the names of
# the model and those of the data have to be the same.
expected = dict.fromkeys(seen, "refused (or right)")
recorded = {
    "xgboost, pandas": "refused",
    "xgboost, Arrow": "scored by position",
    "xgboost, Polars": "scored by position",
    "lightgbm, pandas": "refused",
    "lightgbm, Arrow": "scored by position",
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
