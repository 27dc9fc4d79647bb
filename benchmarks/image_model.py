"""A model of images: JPEG to pixels, then a small convolutional network (onnxruntime), one thread a process."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
from PIL import Image

SIDE = 256


class Images:
    """:param path: of the network. :param column: of the files' bytes."""

    def __init__(self, path: str, column: str = "IMAGE") -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._column = column
        self.input_columns = [column]

    def score(self, files: list[bytes]) -> np.ndarray:
        pixels = np.empty((len(files), SIDE, SIDE, 3), dtype=np.uint8)
        for row, content in enumerate(files):
            with Image.open(io.BytesIO(content)) as image:
                pixels[row] = np.asarray(image)
        return np.asarray(self._session.run(None, {"pixels": pixels})[0])

    def predict(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        return {"LABEL": self.score(list(frame[self._column])).argmax(axis=1)}


def write_network(path: Path) -> None:
    """Three convolutions, a mean over all places, ten classes; random weights."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights, nodes = [], []

    def weight(name: str, *shape: int) -> str:
        values = random.standard_normal(shape, dtype=np.float32) / np.sqrt(np.prod(shape[1:]))
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    nodes.append(helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("Transpose", ["floats"], ["x0"], perm=[0, 3, 1, 2]))
    for layer, (given, made) in enumerate(((3, 8), (8, 16), (16, 32))):
        name = weight(f"w{layer}", made, given, 3, 3)
        nodes.append(helper.make_node("Conv", [f"x{layer}", name], [f"c{layer}"], strides=[2, 2], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"x{layer + 1}"]))
    nodes.append(helper.make_node("GlobalAveragePool", ["x3"], ["mean"]))
    nodes.append(helper.make_node("Flatten", ["mean"], ["flat"]))
    nodes.append(helper.make_node("Gemm", ["flat", weight("w3", 10, 32)], ["scores"], transB=1))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 10])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def jpeg(number: int) -> bytes:
    """A picture that compresses like a photograph: smooth colours and some noise."""
    random = np.random.default_rng(number)
    coarse = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = np.clip(smooth + random.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)
    memory = io.BytesIO()
    Image.fromarray(noisy).save(memory, "JPEG", quality=80)
    return memory.getvalue()
