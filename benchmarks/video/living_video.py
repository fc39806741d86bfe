"""Makes the face of a video blink, look aside and talk: a video as the demo's
`living_720p30.mp4`, which an earlier form of these warps made from `solo_720p30.mp4`.

`python -m benchmarks.video.living_video IN.mp4 OUT.mp4`: lids, irises and mouth of every frame are
moved by warps; frames keep their times and the sound is copied. For composites: with it the demo
shows what a swap follows, though nobody real was filmed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import av
import cv2
import numpy as np

from models.inference.arrays import BgrImage, Landmarks
from models.inference.engine import FaceSwapEngine
from models.inference.finding.face_mesh import RegionOfInterest
from models.inference.frames.image_frame import ImageFrame
from models.inference.mesh_points import INNER_LIPS, MOUTH_CORNERS
from models.packs.store import load_pack
from tests.material import PACKS
from tests.models.living_eyes import looking, with_lids

BLINKS_S = (0.8, 2.5, 4.2)
BLINK_S = 0.13  # from open to shut
# Begin, end and how far aside, in widths of the eye: right, then left.
GLANCES = ((1.3, 2.0, 0.16), (3.1, 3.7, -0.16))
GLANCE_S = 0.1  # one way: eyes jump
# Syllables: openings of the mouth over its width, at rates of speech that never meet.
SYLLABLES_HZ = (3.1, 1.9)
WIDEST = 0.16
PAUSE_HZ = 0.6  # words, and silence between them
CHIN = 152
MOUTH_BGR = (38, 28, 52)
TEETH_BGR = (196, 206, 214)
TEETH_SHARE = 0.45  # of the gap, from the upper lip down


@dataclass(frozen=True)
class Moment:
    """What a face does at a time: how far its lids are open, where it looks, how wide it speaks."""

    time_s: float

    @property
    def open_share(self) -> float:
        """1 open, 0 shut."""
        nearest = min(abs(self.time_s - blink) for blink in BLINKS_S)
        return float(np.clip(nearest / BLINK_S, 0, 1))

    @property
    def aside(self) -> float:
        """The irises' shift to the right in widths of the eye."""
        for begin, end, shift in GLANCES:
            inside = min(self.time_s - begin, end - self.time_s)
            if inside > 0:
                return shift * min(1.0, inside / GLANCE_S)

        return 0.0

    @cached_property
    def parted(self) -> float:
        """How far the lips are apart, over the mouth's width."""
        turns = 2 * np.pi * self.time_s
        spoken = np.prod([np.sin(rate * turns) for rate in SYLLABLES_HZ])
        is_word = np.sin(PAUSE_HZ * turns) > -0.3
        return WIDEST * float(max(0.0, spoken)) if is_word else 0.0


def speaking(photo: BgrImage, mesh: Landmarks, parted: float) -> BgrImage:
    """Return the photo with its lips `parted` by a share of the mouth's width.

    Lower lip and chin come down; between the lips are dark and teeth. `mesh` is float32 [468, 2]
    in the photo's pixels, of a face that stands upright.
    """
    left, right = (mesh[corner] for corner in MOUTH_CORNERS)
    width = float(np.linalg.norm(right - left))
    gap = parted * width

    # Less than a pixel is not seen.
    if gap < 1:
        return photo

    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]].astype(np.float32)
    across = np.clip((columns - left[0]) / (right[0] - left[0]), 0, 1)
    # Lips are parted most in the middle, not at all at the corners.
    bow = gap * np.sin(np.pi * across)
    line = _mouth_line(mesh, columns[0])
    chin = float(mesh[CHIN, 1])
    below = rows - line
    # The chin follows by a part, the neck stays.
    fade = np.clip(1 - below / (1.6 * (chin - line)), 0, 1)
    down = np.where(below > bow, bow * fade, 0).astype(np.float32)
    moved = cv2.remap(photo, columns, rows - down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = ((below > 0) & (below <= bow)).astype(np.float32)
    teeth = ((below > 0) & (below <= TEETH_SHARE * bow)).astype(np.float32)

    for colour, where in ((MOUTH_BGR, inside), (TEETH_BGR, teeth)):
        soft = cv2.GaussianBlur(where, (0, 0), max(0.6, 0.02 * width))[..., None]
        moved = moved * (1 - soft) + np.array(colour, np.float32) * soft

    return np.asarray(np.clip(moved + 0.5, 0, 255), np.uint8)


def _mouth_line(mesh: Landmarks, columns: np.ndarray) -> np.ndarray:
    """Return the height where the lips meet at each column: the middle of their inner edge."""
    ring = mesh[list(INNER_LIPS)]
    half = len(ring) // 2
    # The ring runs along the upper lip and back along the lower one.
    upper = ring[: half + 1]
    lower = np.concatenate([ring[:1], ring[:half:-1], ring[half : half + 1]])
    edges = [np.interp(columns, edge[:, 0], edge[:, 1]) for edge in (upper, lower)]
    return np.asarray(np.mean(edges, axis=0), np.float32)[None]


def living(frames: Iterator[tuple[BgrImage, float]]) -> Iterator[BgrImage]:
    """Yield frames of one upright face, each with its time in seconds, with the face alive."""
    engine = FaceSwapEngine.load(load_pack("open", PACKS), device="cpu")
    assert engine.iris is not None
    mesh: Landmarks | None = None

    for photo, time_s in frames:
        frame = ImageFrame(photo)
        if mesh is None:
            mesh = engine.detect(photo, largest_only=True)[0].landmarks

        mesh = engine.mesh.look(frame, RegionOfInterest.of_landmarks(mesh)).landmarks
        now = Moment(time_s)
        eyes = engine.iris.look(frame, mesh)
        glanced = looking(photo, eyes, now.aside)
        yield speaking(with_lids(glanced, eyes, now.open_share), mesh, now.parted)


def write(source: Path, result: Path) -> None:
    """Write a video's frames with the face alive, beside its own sound."""
    with av.open(str(source)) as taken, av.open(str(result), "w") as made:
        seen = taken.streams.video[0]
        picture = made.add_stream("libx264", rate=seen.average_rate)
        picture.width = seen.width
        picture.height = seen.height
        picture.pix_fmt = "yuv420p"
        picture.options = {"crf": "20"}
        heard = made.add_stream_from_template(taken.streams.audio[0])
        decoded = (
            (np.asarray(one.to_ndarray(format="bgr24"), np.uint8), float(one.time or 0.0))
            for one in taken.decode(seen)
        )

        for frame in living(decoded):
            made.mux(picture.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))

        made.mux(picture.encode())
        taken.seek(0)
        for packet in taken.demux(taken.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = heard
                made.mux(packet)


def main() -> None:
    """Make a video from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="a video of one face, with sound")
    parser.add_argument("result", type=Path, help="the .mp4 to write")
    asked = parser.parse_args()
    write(asked.source, asked.result)


if __name__ == "__main__":
    main()
