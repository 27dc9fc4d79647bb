#!/usr/bin/env bash
# safetensors.numpy writes the memory of an array, not its values in row order: an array in Fortran order (every
# transposed array, and what many linear algebra routines return) comes back from the file with its values in other
# places. Nothing is raised, the shape is right. The format itself has only row-major tensors.
# Who is hurt: whoever keeps weights, PCA components or embeddings as NumPy arrays; the loaded model scores nonsense.
# Instead: pass np.ascontiguousarray(x) to save and save_file, and compare once after writing. Version 0.7.0 stored
# the values.
# Known upstream as safetensors issue 825.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    numpy==2.4.6 safetensors==0.8.0
cd "$folder"
venv/bin/python - numpy safetensors <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import numpy as np
from safetensors.numpy import load, save

weights = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
same_weights = np.asfortranarray(weights)
assert np.array_equal(weights, same_weights)

# Rule: README of safetensors, "Format": tensors are stored in C or row-major order, and load(save(x))
# has to equal x.
expected = weights.tolist()
seen = load(save({"weights": same_weights}))["weights"].tolist()
recorded = [[1.0, 4.0, 2.0], [5.0, 3.0, 6.0]]

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
