"""An identity's graph without what is done better on bytes: the images' framing and the blend.

Both are a fifth of the graph's time, in floats at full resolution, and change nothing that was
learned. The pack's file stays what it is: it is cut when it is opened, for any provider.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

# Names that models/export/idn_to_onnx.py gives; a graph without them has no blend head.
FRAMED = "first.framed"
MAPS = "final.out"
PLANES = 8  # two images and what fills up a block of channels
GREY = 0.5  # what images are framed with: nothing, once they are normalised
WEIGHTS = 4  # of the 16 maps, for four pixels each; the others are the residual


@cache
def cut_graph(graph: Path) -> bytes | None:
    """Return a graph from its framed images, "framed" [1, 8, s + 2, s + 2], to the blend head's
    maps at half size, "weight" [1, 4, s/2, s/2] and "residual" [1, 12, s/2, s/2].

    None where the pack's network has another head: the paper's.
    """
    # Takes a moment to import: only those pay it who swap.
    onnx = import_module("onnx")
    model = onnx.load(str(graph), load_external_data=False)
    made = {name for node in model.graph.node for name in node.output}
    if not {FRAMED, MAPS} <= made:
        return None

    size = model.graph.input[0].type.tensor_type.shape.dim[-1].dim_value
    half = size // 2
    head = onnx.helper.make_node(
        "Split", [MAPS, "cut.parts"], ["cut.weight", "cut.residual"], axis=1
    )
    lengths = np.array([WEIGHTS, 3 * WEIGHTS], np.int64)
    parts = onnx.numpy_helper.from_array(lengths, "cut.parts")
    ends = [
        onnx.helper.make_node("Sigmoid", ["cut.weight"], ["weight"]),
        onnx.helper.make_node("Tanh", ["cut.residual"], ["residual"]),
    ]

    def port(name: str, shape: tuple[int, ...]) -> Any:  # noqa: ANN401  it has no types
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    kept = _needed(model.graph.node, MAPS, FRAMED)
    used = {name for node in kept for name in node.input}
    stored = [tensor for tensor in model.graph.initializer if tensor.name in used]
    inner = onnx.helper.make_graph(
        [*kept, head, *ends],
        "idn.cut",
        [port(FRAMED, (1, PLANES, size + 2, size + 2))],
        [port("weight", (1, WEIGHTS, half, half)), port("residual", (1, 3 * WEIGHTS, half, half))],
        [*stored, parts],
    )
    made_model = onnx.helper.make_model(
        inner, opset_imports=model.opset_import, ir_version=model.ir_version
    )

    return bytes(made_model.SerializeToString())


def _needed(nodes: Sequence[Any], wanted: str, given: str) -> list[Any]:
    """Return the nodes between a value and the one it is to be made from, in running order."""
    names = {wanted}
    kept = []
    for node in reversed(nodes):
        if names.isdisjoint(node.output) or given in node.output:
            continue

        kept.append(node)
        names.update(node.input)

    return kept[::-1]
