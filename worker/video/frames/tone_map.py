"""HDR to SDR: one 3-D table from BT.2020 PQ or HLG to BT.709, applied by FFmpeg's tetrahedral
interpolation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from worker.video.probe import HLG, ColourTags

Values = NDArray[np.float64]

TABLE_SIDE: Final = 33
REFERENCE_WHITE_NITS: Final = 203.0  # ITU-R BT.2408: diffuse white of HDR programmes
PEAK_NITS: Final = 1000.0  # the mastering peak nearly all consumer HDR is made for
KNEE: Final = 0.5  # highlights above half of diffuse white are compressed, all below is left alone
BT2020_TO_BT709: Final = np.array(  # ITU-R BT.2087, linear light
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
SDR: Final = ColourTags(matrix=1, primaries=1, transfer=1, full_range=False)


class ToneMapper:
    """Turns HDR frames into 8-bit BT.709 frames.

    `table` is a file of ours that holds the colour table meanwhile.
    """

    def __init__(self, colour: ColourTags, table: Path) -> None:
        table.write_text(cube_text(colour.transfer))
        self._chain = [
            ("scale", "in_color_matrix=bt2020:out_range=pc"),
            ("format", "gbrp12le"),
            ("lut3d", f"file={table}:interp=tetrahedral"),
            ("setparams", "color_primaries=bt709:color_trc=bt709:colorspace=gbr"),
            ("scale", "out_color_matrix=bt709:out_range=tv"),
            ("format", "yuv420p"),
        ]
        self._graph: Graph | None = None

    def map(self, frame: VideoFrame) -> VideoFrame:
        """The frame as limited-range BT.709 yuv420p of the same size and time."""
        graph = self._graph or self._build(frame)
        graph.vpush(frame)
        return graph.vpull()

    def _build(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        nodes = [
            graph.add_buffer(
                None, frame.width, frame.height, frame.format, time_base=frame.time_base
            )
        ]
        nodes += [graph.add(name, arguments) for name, arguments in self._chain]
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        self._graph = graph
        return graph


def cube_text(transfer: int) -> str:
    """The table in Adobe's .cube form: red fastest, values 0..1."""
    axis = np.linspace(0.0, 1.0, TABLE_SIDE)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    table = to_sdr(np.stack((red, green, blue), axis=-1).reshape(-1, 3), transfer)
    rows = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in table)
    return f"LUT_3D_SIZE {TABLE_SIDE}\n{rows}\n"


def to_sdr(signal: Values, transfer: int) -> Values:
    """BT.2020 signal values [N, 3] in 0..1 as BT.709 signal values for a display of gamma 2.4."""
    light = _hlg_light(signal) if transfer == HLG else _pq_light(signal)
    light = np.maximum(light @ BT2020_TO_BT709.T, 0.0)
    peak = np.maximum(
        light.max(axis=1, keepdims=True), 1e-9
    )  # scaling by the peak keeps the hue of highlights
    shown: Values = np.clip(light * (_compress(peak) / peak), 0.0, 1.0) ** (1 / 2.4)
    return shown


def _pq_light(signal: Values) -> Values:
    """SMPTE ST 2084, in units of reference white."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    light: Values = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return light * (10_000 / REFERENCE_WHITE_NITS)


def _hlg_light(signal: Values) -> Values:
    """ITU-R BT.2100 hybrid log-gamma with its system gamma of 1.2, in units of reference white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = np.maximum(scene @ np.array([0.2627, 0.6780, 0.0593]), 1e-9)[:, None]
    light: Values = PEAK_NITS / REFERENCE_WHITE_NITS * scene * luminance**0.2
    return light


def _compress(light: Values) -> Values:
    """Identity up to the knee, then a curve of the same slope that reaches 1 at the peak."""
    peak = PEAK_NITS / REFERENCE_WHITE_NITS
    bend = 1 / ((peak - KNEE) / (1 - KNEE) - 1)
    share = np.maximum(light - KNEE, 0) / (peak - KNEE)
    return np.where(light <= KNEE, light, KNEE + (1 - KNEE) * (1 + bend) * share / (share + bend))
