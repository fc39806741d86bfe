"""What was read in one swapped video, before and after, and how it is kept in a file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.realism import readings

Array = NDArray[Any]


@dataclass(frozen=True)
class SwappedVideo:
    """One swapped video. Arrays run over the frames in which the face was wholly swapped.

    frames [n] indices; meshes, new_meshes [n, 468, 2], and mirrors, new_mirrors alike, read in the
    mirrored frame; lids, new_lids [n, 2, 16, 2]; irises, new_irises [n, 2, 5, 2], all in frame
    pixels; yaws [n] degrees; covers [n]: share of the inner
    face that was left uncovered; heads, new_heads uint8 [n, h, w, 3] RGB around the face;
    tremble, new_tremble [n - 2]: mean second difference of luma inside the face.
    """

    name: str
    source: int
    frames: Array
    meshes: Array
    new_meshes: Array
    mirrors: Array
    new_mirrors: Array
    lids: Array
    new_lids: Array
    irises: Array
    new_irises: Array
    yaws: Array
    covers: Array
    heads: Array
    new_heads: Array
    head_box: Array
    tremble: Array
    new_tremble: Array

    @property
    def target(self) -> str:
        """The video's name, without which of its swaps this is."""
        return self.name.split(".")[0]

    @property
    def openings(self) -> Array:
        return np.asarray(readings.openings(self.lids).mean(-1))

    @property
    def new_openings(self) -> Array:
        return np.asarray(readings.openings(self.new_lids).mean(-1))

    @property
    def gazes(self) -> Array:
        return readings.gazes(self.lids, self.irises)

    @property
    def new_gazes(self) -> Array:
        return readings.gazes(self.new_lids, self.new_irises)

    def save(self, path: Path) -> None:
        np.savez_compressed(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> SwappedVideo:
        # No pickles: what is kept must not be able to run code.
        with np.load(path, allow_pickle=False) as file:
            values: dict[str, Any] = {f.name: file[f.name] for f in fields(cls)}
        # A single value comes back as an array without dimensions.
        values["name"] = str(values["name"])
        values["source"] = int(values["source"])
        return cls(**values)
