"""The network as a file for devices, beside the graph that the engine runs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.device.errors import DeviceTemplateError
from models.device.kernels import LEVELS, quantise
from models.device.template import Template, load_templates
from models.inference.arrays import RgbImage, Tensor, to_network
from models.inference.runtime import ort
from models.inference.session import SessionFactory
from models.packs.store import Pack
from tests.material import SAMPLES

TARGET = SAMPLES / "ben_smile.jpg"
TEXTURE = SAMPLES / "ada_neutral.jpg"


@pytest.fixture(scope="module")
def weights(open_pack: Pack) -> dict[str, Tensor]:
    embedding = np.random.default_rng(0).normal(size=(1, 128)).astype(np.float32)
    network = SessionFactory("cpu", 1).open(open_pack.graph("iim"))
    return network(embedding / np.linalg.norm(embedding))


def crop(path: Path) -> RgbImage:
    image = cv2.imread(str(path))
    return np.asarray(cv2.cvtColor(cv2.resize(image, (224, 224)), cv2.COLOR_BGR2RGB), np.uint8)


@pytest.fixture(scope="module")
def expected(open_pack: Pack, weights: dict[str, Tensor]) -> Tensor:
    network = SessionFactory("cpu", 1).open_specialised(open_pack.graph("idn"), weights)
    return network(to_network(crop(TARGET)), to_network(crop(TEXTURE)))["face"]


def test_litert_runs_the_filled_graph_within_a_tenth_of_a_level(
    open_pack: Pack, weights: dict[str, Tensor], expected: Tensor
) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    graph = load_templates(open_pack.device)["litert"].filled(weights)
    assert len(graph) < 1_200_000

    runtime = interpreter.Interpreter(model_content=graph, num_threads=1)
    runtime.allocate_tensors()
    inputs = {port["name"]: port["index"] for port in runtime.get_input_details()}

    for name, path in (("target", TARGET), ("texture", TEXTURE)):
        runtime.set_tensor(inputs[name], crop(path)[None].astype(np.float32) / 127.5 - 1)

    runtime.invoke()
    face = runtime.get_tensor(runtime.get_output_details()[0]["index"])
    levels = np.abs((face[0].transpose(2, 0, 1) + 1) / 2 - expected[0]) * 255
    assert levels.mean() <= 0.1
    assert levels.max() <= 1.0


def test_onnx_runtime_runs_the_filled_graph_alike(
    open_pack: Pack, weights: dict[str, Tensor], expected: Tensor
) -> None:
    graph = load_templates(open_pack.device)["onnx"].filled(weights)
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    images = {"target": to_network(crop(TARGET)), "texture": to_network(crop(TEXTURE))}
    (face,) = session.run(["face"], images)
    assert np.abs(face - expected).max() * 255 <= 0.12  # what float16 weights cost


def test_weights_of_another_network_are_refused(
    open_pack: Pack, weights: dict[str, Tensor]
) -> None:
    template = load_templates(open_pack.device)["litert"]
    with pytest.raises(DeviceTemplateError, match=r"decoder\.0\.depthwise"):
        template.filled({k: v for k, v in weights.items() if k != "decoder.0.depthwise"})

    wrong = {**weights, "encoder.0.pointwise": np.zeros((8, 3, 1, 1), np.float32)}
    with pytest.raises(DeviceTemplateError, match="does not fit"):
        template.filled(wrong)


def test_another_file_is_not_a_template(tmp_path: Path) -> None:
    path = tmp_path / "device.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("slots.json", "{}")

    with pytest.raises(DeviceTemplateError):
        load_templates(path)


def test_the_committed_templates_are_those_of_the_committed_graph(
    open_pack: Pack, tmp_path: Path
) -> None:
    pytest.importorskip("ai_edge_litert")
    from models.export.device_template import write_device_templates

    write_device_templates(open_pack.graph("idn"), tmp_path / "device.zip")
    written = load_templates(tmp_path / "device.zip")
    kept: dict[str, Template] = dict(load_templates(open_pack.device))
    assert {form: template.slots for form, template in written.items()} == {
        form: template.slots for form, template in kept.items()
    }
    assert written["onnx"].graph == kept["onnx"].graph


def test_a_quantised_kernel_is_the_kernel_to_half_a_step() -> None:
    kernel = np.random.default_rng(1).normal(size=(5, 7, 1, 1)).astype(np.float32)
    kernel[2] = 0  # a channel that is never used
    quantised = quantise(kernel)
    restored = quantised.values * quantised.scales[:, None, None, None]
    assert np.abs(quantised.values).max() == LEVELS
    assert (
        np.abs(restored.transpose(0, 3, 1, 2) - kernel)
        <= quantised.scales[:, None, None, None] * 0.5 + 1e-7
    ).all()
