"""Other ways of swapping the solo video: as one writes it first, and with heavier generators."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.loaded import engine, enrolled
from benchmarks.video.costs import Cost, process_cpu_s, through_pipeline
from benchmarks.video.peers import Peer
from benchmarks.video.solo_video import decoded, encoded
from models.inference.arrays import Mask, RgbImage, to_network
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.frames.image_frame import ImageFrame
from models.inference.options import FaceSelector, SwapOptions
from models.inference.session import Network, SessionFactory
from models.inference.swapping.selection import Assignment
from tests.models.demo_media import SOLO
from worker.video.encoder import EncoderSettings

SIZE = (1280, 720)


@dataclass(frozen=True)
class PeerSwapper:
    """A generator of another size in our swapper's place.

    Its image is noise, its price is real.
    """

    network: Network
    size: int

    def swap(self, target: RgbImage, _texture: RgbImage | None) -> tuple[RgbImage, Mask]:
        self.network(to_network(cv2.resize(target, (self.size, self.size)).astype(np.uint8)))
        return target, np.ones((TEMPLATE_SIZE, TEMPLATE_SIZE), np.float32)


def with_peer(folder: Path, peer: Peer) -> tuple[float, Cost]:
    """Return a generator's multiply-adds in G, and what our pipeline costs with it, on the video's
    first frames.
    """
    # As the frames come from a phone: H.264 that is nearly without loss.
    frames = decoded(SOLO, peer.frames, SIZE)
    source = encoded(folder / f"{peer.name}.mp4", frames, Fraction(30), {"crf": "18"})
    graph = peer.graph()
    network = SessionFactory("cpu", 1).open(graph.save(folder / f"{peer.name}.onnx"))
    swapper = PeerSwapper(network, peer.size)
    identity = replace(enrolled("ada"), key=peer.name, swapper=swapper)
    cost = through_pipeline(
        source,
        lambda: engine().sequence([Assignment(FaceSelector(), identity)], SwapOptions()),
        folder,
    )

    return graph.gmacs, cost


class Naive:
    """What one writes first: every frame to BGR, faces sought afresh, the whole image blended in
    floats.
    """

    def swap(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a swapped copy of a BGR frame."""
        out = frame
        still = ImageFrame(frame)

        for found in engine().detector.find(still):
            face = engine().mesh.settle(still, found)
            painted = engine().painter.paint(still, face.landmarks, enrolled("ada"), SwapOptions())
            # The whole frame, however small the face.
            size = frame.shape[1], frame.shape[0]
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            crop = cv2.cvtColor(painted.face, cv2.COLOR_RGB2BGR)
            placed = cv2.warpAffine(crop, painted.to_crop, size, flags=flags).astype(np.float32)
            mask = cv2.warpAffine(painted.mask, painted.to_crop, size, flags=flags)[..., None]
            out = (
                (mask * placed + (1 - mask) * out.astype(np.float32)).clip(0, 255).astype(np.uint8)
            )

        return out


def naive(folder: Path, frames: int = 45) -> Cost:
    """Return the cost of the naive way, one thing after the other, on the video's first frames."""
    way = Naive()
    cpu = process_cpu_s()
    clock = time.perf_counter()

    with av.open(str(folder / "naive.mp4"), "w") as output:
        # The same encoder settings for all, or the table would compare encoders.
        stream = output.add_stream("libx264", 30, options=EncoderSettings().options())
        stream.width = SIZE[0]
        stream.height = SIZE[1]

        for frame in decoded(SOLO, frames, SIZE):
            image = way.swap(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
            swapped = av.VideoFrame.from_ndarray(image, "bgr24").reformat(format="yuv420p")
            output.mux(stream.encode(swapped))

        output.mux(stream.encode(None))

    return Cost(
        (process_cpu_s() - cpu) / frames * 1e3, (time.perf_counter() - clock) / frames * 1e3
    )
