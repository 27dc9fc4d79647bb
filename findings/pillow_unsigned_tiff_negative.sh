#!/usr/bin/env bash
# Pillow opens a TIFF of unsigned 32-bit samples in its mode I, which is signed: each sample of 2^31 or more becomes
# negative. A 16-bit RGB TIFF loses its low byte on the way, although 16-bit grey is kept (Pillow's page "Concepts"
# names no colour mode above 8 bits; it converts where it might refuse). tifffile has both right.
# Who is hurt: label masks and counts (segmentation ids, satellite products) and 16-bit photographs read by Pillow;
# also imageio with plugin="pillow". Convert-and-score code runs on without an error.
# Instead: tifffile.imread for measurements; after Pillow, array.view(np.uint32) restores the large ones.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3
cd "$folder"
venv/bin/python - numpy pillow tifffile <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import numpy as np
import tifffile
from PIL import Image

ids = np.array([[5, 2**31 + 5]], dtype=np.uint32)
photo = np.array([[[1, 255, 256], [65535, 0, 4660]]], dtype=np.uint16)
tifffile.imwrite("ids.tif", ids)
tifffile.imwrite("photo.tif", photo, photometric="rgb")

# Rule: TIFF 6.0, SampleFormat 1 is unsigned integer data, BitsPerSample 16,16,16 means 16 bits a channel.
expected = {"ids": ids.tolist(), "photo": photo.tolist()}
seen = {"ids": np.asarray(Image.open("ids.tif")).tolist(), "photo": np.asarray(Image.open("photo.tif")).tolist()}
recorded = {"ids": [[5, -2147483643]], "photo": [[[0, 0, 1], [255, 0, 18]]]}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
