"""Crops of faces, and a cover network that can be predicted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from models.inference.engine import FaceSwapEngine
from models.inference.frames.affine import transform
from models.inference.frames.image_frame import ImageFrame
from models.inference.painting.occlusion import CoverFinder
from models.inference.session import SessionFactory
from tests.models.demo_media import portrait

Crop = tuple[NDArray[np.uint8], NDArray[np.float32]]


def crop_of(engine: FaceSwapEngine, name: str) -> Crop:
    """Return a demo portrait's crop, 224 px, and its landmarks in it."""
    photo = portrait(name)
    landmarks = engine.detect(photo)[0].landmarks
    to_crop = engine.painter.swap_crop(landmarks)
    return ImageFrame(photo).rgb_crop(to_crop, 224), transform(landmarks, to_crop)


def brightness(tmp_path: Path) -> CoverFinder:
    """Return a network for which what is bright is cover, as surely as it is bright."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 112, 112])
    guide = helper.make_tensor_value_info("guide", TensorProto.FLOAT, [1, 5, 112, 112])
    cover = helper.make_tensor_value_info("cover", TensorProto.FLOAT, [1, 3, 112, 112])
    node = helper.make_node("Identity", ["image"], ["cover"])
    graph = helper.make_graph([node], "brightness", [image, guide], [cover])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "cover.onnx")

    return CoverFinder(SessionFactory("cpu").open(tmp_path / "cover.onnx"))


def patched(level: float, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a black crop with a patch of this brightness, 0..1."""
    crop = np.zeros((224, 224, 3), np.uint8)
    crop[slice(*rows), slice(*columns)] = round(255 * level)
    return crop
