#!/usr/bin/env bash
# imageio reads a TIFF by tifffile, which gives the stored samples and not the picture: white-is-zero scans come out
# as negatives, palette images as indices instead of colours, separate colour planes as (3, height, width), and the
# orientation tag is ignored. PNG, GIF and JPEG go through Pillow and give the picture, and so does plugin="pillow"
# for the same TIFF.
# Who is hurt: OCR and image models fed from mixed files: fax and scanner TIFFs are white-is-zero.
# Instead: iio.imread(path, plugin="pillow") for pictures; tifffile only for measurements.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    imageio==2.38.1 numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3
cd "$folder"
venv/bin/python - imageio numpy pillow tifffile <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import imageio.v3 as iio
import numpy as np
import tifffile
from PIL import Image

tifffile.imwrite("scan.tif", np.array([[0, 10, 255]], dtype=np.uint8), photometric="miniswhite")
palette = Image.new("P", (2, 1))
palette.putpalette([255, 0, 0, 0, 255, 0])
palette.putpixel((1, 0), 1)
palette.save("palette.tif")
palette.save("palette.png")
planes = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
tifffile.imwrite("planes.tif", planes, photometric="rgb", planarconfig="separate")
Image.fromarray(np.array([[1, 2], [3, 4]], dtype=np.uint8)).save("turned.tif", tiffinfo={274: 6})


def read(**options):
    return {
        "scan": iio.imread("scan.tif", **options).tolist(),
        "palette.tif": iio.imread("palette.tif", **options).shape,
        "palette.png": iio.imread("palette.png").shape,
        "planes": iio.imread("planes.tif", **options).shape,
        "turned": iio.imread("turned.tif", **options).tolist(),
    }


# Rule: TIFF 6.0, PhotometricInterpretation: 0 (WhiteIsZero) images 0 as white, 3 is a palette;
# PlanarConfiguration is storage only, Orientation 6 is a quarter turn. imageio.v3.imread returns "the image"
# as an array, and does for the same picture in a PNG.
expected = {
    "scan": [[255, 245, 0]],
    "palette.tif": (1, 2, 3),
    "palette.png": (1, 2, 3),
    "planes": (2, 4, 3),
    "turned": [[3, 1], [4, 2]],
}
assert read(plugin="pillow") == expected
seen = read()
recorded = {
    "scan": [[0, 10, 255]],
    "palette.tif": (1, 2),
    "palette.png": (1, 2, 3),
    "planes": (3, 2, 4),
    "turned": [[1, 2], [3, 4]],
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
