"""Networks that measure the engine from outside and are no part of it: another encoder, another
detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import BgrImage, Box, Landmarks
from models.inference.finding.alignment import align
from models.inference.frames.frame import Frame
from models.inference.runtime import ort

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True)
class IndependentEncoder:
    """MobileFaceNet: in no training loss, so that it cannot be pleased by accident."""

    session: ort.InferenceSession

    @classmethod
    def load(cls, shared: Path) -> IndependentEncoder:
        return cls(_session(shared / "eval" / "independent_encoder.onnx"))

    def embed(self, frame: Frame, landmarks: Landmarks) -> NDArray[np.float32]:
        """Return the embedding of a face, float32 [128] of length one: the crop and its mirror
        image, summed.
        """
        crop = frame.rgb_crop(align(landmarks, "similarity", 112), 112)
        both = np.stack([crop, crop[:, ::-1]]).astype(np.float32) / 255
        batch = np.ascontiguousarray(((both - MEAN) / STD).transpose(0, 3, 1, 2))
        total = self.session.run(None, {"x": batch})[0].sum(axis=0)

        return np.asarray(total / np.linalg.norm(total), np.float32)


@dataclass(frozen=True)
class YuNet:
    """The detector that recall is measured against."""

    session: ort.InferenceSession

    @classmethod
    def load(cls, shared: Path) -> YuNet:
        return cls(_session(shared / "models" / "yunet_n_dynamic.onnx"))

    def find(self, image: BgrImage, min_score: float = 0.6) -> list[Box]:
        """Return the boxes of the faces in an image, as the model's notice says to decode them."""
        height, width = (-(-side // 32) * 32 for side in image.shape[:2])
        padded = np.zeros((height, width, 3), np.float32)
        padded[: image.shape[0], : image.shape[1]] = image
        names = [output.name for output in self.session.get_outputs()]
        values = self.session.run(
            None, {self.session.get_inputs()[0].name: padded.transpose(2, 0, 1)[None]}
        )
        outputs = dict(zip(names, values, strict=True))
        found = [_decode(outputs, stride, width // stride, min_score) for stride in (8, 16, 32)]
        boxes = np.concatenate([b for b, _ in found])
        scores = np.concatenate([s for _, s in found])
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), min_score, 0.45)

        return [(x, y, x + w, y + h) for x, y, w, h in boxes[np.array(kept, int).ravel()].tolist()]


def _decode(
    outputs: dict[str, NDArray[np.float32]], stride: int, columns: int, min_score: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    scores = np.sqrt(
        np.clip(outputs[f"cls_{stride}"], 0, 1) * np.clip(outputs[f"obj_{stride}"], 0, 1)
    ).ravel()
    kept = np.flatnonzero(scores > min_score)
    rows_columns = np.stack(np.divmod(kept, columns)[::-1], axis=1)
    offsets = outputs[f"bbox_{stride}"].reshape(-1, 4)[kept]
    size = np.exp(offsets[:, 2:]) * stride
    corner = (rows_columns + offsets[:, :2]) * stride - size / 2

    return np.concatenate([corner, size], axis=1).astype(np.float32), scores[kept]


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
