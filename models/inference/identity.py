"""What registration makes and storage keeps: the durable identity code and the derived weights."""

from __future__ import annotations

import io
import json
import math
import zipfile
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Embedding, Landmarks, Plane, RgbImage, Tensor
from models.inference.errors import BadIdentityError
from models.inference.safety.age import ApparentAge

# Goes up when a reader of the old format could misread the new one; fields may be added.
CODE_FORMAT = "likeness-code-1"
DETAIL_QUALITY = 85  # of JPEG: a band of pores loses .02 of its strength
# not an npz: 18 small archive members take longer to open than to convert
WEIGHTS_MAGIC = b"likeness-weights-1\n"


@dataclass(frozen=True)
class SourceEyes:
    """Both irises of a person, the viewer's left first.

    `discs` is uint8 [2, 43, 43, 4]: RGB and, last, how bright a light the photo had there; the
    iris's radius is 16 px. `radius` is the same in widths of the eye, `gaze` float32 [2, 2] where
    the photo's irises stand in the eyes' own axes.
    """

    discs: NDArray[np.uint8]
    radius: float
    gaze: NDArray[np.float32]


@dataclass(frozen=True)
class IdentityCode:
    """Who a person is to a pack: all that registration keeps of the photos (in the open pack
    about 100 KB, and 25 to 60 KB more with `detail`).

    `embedding` is centred and L2-normalised. The official pack's IIM also needs `feature_map`
    (float32 [512, 7, 7]); the open pack's IDN needs `texture` (uint8 [224, 224, 3], RGB, canonical)
    and the `landmarks` it was taken with, in units of the 224 template. Codes made before irises
    were cut out have no `eyes`; the engine then takes them from the texture. `detail` is what the
    photo shows finer than the texture, uint8 [448, 448] or [672, 672] as its size allows, for
    close-ups; codes of small photos, and those made before, have none.
    """

    pack: str
    embedding: Embedding
    feature_map: Tensor | None = None
    texture: RgbImage | None = None
    landmarks: Landmarks | None = None
    eyes: SourceEyes | None = None
    detail: Plane | None = None

    def to_bytes(self) -> bytes:
        """Return a versioned, compressed serialisation without pickles."""
        arrays: dict[str, NDArray[Any] | None] = {
            "embedding": self.embedding,
            "feature_map": self.feature_map,
        }
        arrays |= {"texture": self.texture, "landmarks": self.landmarks}

        if self.eyes is not None:
            arrays |= {"irises": self.eyes.discs, "gaze": self.eyes.gaze}
            arrays |= {"iris_radius": np.array(self.eyes.radius, np.float32)}

        if self.detail is not None:
            arrays["detail"] = _packed(self.detail)

        kept = {name: array for name, array in arrays.items() if array is not None}
        # Compressed: textures and irises have large even areas.
        buffer = io.BytesIO()
        np.savez_compressed(buffer, format=np.array(CODE_FORMAT), pack=np.array(self.pack), **kept)  # type: ignore[arg-type]

        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> IdentityCode:
        """Read `to_bytes` back; raises `BadIdentityError` for anything else."""
        # Fields that came later are optional: identities registered before keep working.
        arrays = _unpack(data)
        if "pack" not in arrays or "embedding" not in arrays:
            raise BadIdentityError("the identity code is incomplete")

        optional = {name: arrays.get(name) for name in ("feature_map", "texture", "landmarks")}
        eyes = None

        if "irises" in arrays:
            eyes = SourceEyes(arrays["irises"], float(arrays["iris_radius"]), arrays["gaze"])

        pack = str(arrays["pack"])
        embedding = arrays["embedding"]
        detail = _unpacked(arrays["detail"]) if "detail" in arrays else None

        return cls(pack=pack, embedding=embedding, eyes=eyes, detail=detail, **optional)


@dataclass(frozen=True)
class SpecialisedWeights:
    """The 18 tensors an identity turns into (docs/method.md 1), by name: `encoder.0.depthwise` .

    `decoder.3.pointwise`.
    """

    tensors: dict[str, Tensor]

    def to_bytes(self) -> bytes:
        """Return the tensors in float16, about 807 KB: it moves a pixel by at most 0.12 of a grey
        level.
        """
        shapes = json.dumps({name: tensor.shape for name, tensor in self.tensors.items()}).encode()
        # Halves: the store keeps them in memory.
        halves = [tensor.astype("<f2").tobytes() for tensor in self.tensors.values()]
        # A length in front, since shapes are text and values are not.
        return b"".join([WEIGHTS_MAGIC, len(shapes).to_bytes(4, "little"), shapes, *halves])

    @classmethod
    def from_bytes(cls, data: bytes) -> SpecialisedWeights:
        """Read `to_bytes` back as float32; raises `BadIdentityError` for anything else."""
        start = len(WEIGHTS_MAGIC) + 4
        # Checked before anything is parsed: weights come from a store that others may have written
        # to.
        if data[: len(WEIGHTS_MAGIC)] != WEIGHTS_MAGIC:
            raise BadIdentityError("the stored weights are of another kind or version")

        end = start + int.from_bytes(data[start - 4 : start], "little")
        try:
            shapes: dict[str, list[int]] = json.loads(data[start:end])
            flat = np.frombuffer(data, "<f2", offset=end).astype(np.float32)
            bounds = np.cumsum([math.prod(shape) for shape in shapes.values()])
            parts = np.split(flat, bounds[:-1])

            return cls(
                {
                    name: part.reshape(shape)
                    for (name, shape), part in zip(shapes.items(), parts, strict=True)
                }
            )
        except (ValueError, AttributeError, TypeError) as error:
            raise BadIdentityError("the stored weights cannot be read") from error


@dataclass(frozen=True)
class PhotoWarning:
    """Something about a photo that may make swaps worse: a word for it, and a sentence."""

    code: str
    detail: str


@dataclass(frozen=True)
class PhotoReport:
    """How good one registration photo is.

    `face_px` is the distance between the eyes in pixels, `sharpness` the variance of the Laplacian
    on the aligned face (a good portrait has 100 and more), `brightness` its mean luma in 0..255.
    `reason` is a word for why a photo was left out, and `detail` says it with the figure measured.
    """

    face_px: float
    sharpness: float
    yaw_deg: float
    brightness: float
    accepted: bool
    reason: str | None = None
    detail: str | None = None
    warnings: tuple[PhotoWarning, ...] = ()


@dataclass(frozen=True)
class Registration:
    """An identity code and a report for each photo, in the order of the photos.

    `nudity` holds the scores 0..1 of the photos, `age` what the accepted ones show; both are empty
    where these checks are off.
    """

    code: IdentityCode
    photos: tuple[PhotoReport, ...]
    nudity: tuple[float, ...] = ()
    age: ApparentAge | None = None


def _packed(plane: Plane) -> NDArray[np.uint8]:
    """Return a plane as the bytes of a JPEG: a third to a tenth of what noise compresses to."""
    _, data = cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, DETAIL_QUALITY])
    return np.asarray(data, np.uint8)


def _unpacked(data: NDArray[np.uint8]) -> Plane:
    plane = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    if plane is None:
        raise BadIdentityError("the stored detail cannot be read")
    return np.asarray(plane, np.uint8)


def _unpack(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        # No pickles: an identity's code may come from a store that somebody else can write to.
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise BadIdentityError("the stored identity cannot be read") from error

    if str(arrays.get("format")) != CODE_FORMAT:
        raise BadIdentityError("the stored identity is of another kind or version")

    return arrays
