"""Wide colours to BT.709: HDR (PQ, HLG) by one 3-D table, wide SDR in linear light."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from worker.video.probe import HLG, ColourTags

Values = NDArray[np.float64]

TABLE_SIDE: Final = 33  # greys between its points are less than one level off
REFERENCE_WHITE_NITS: Final = 203.0  # ITU-R BT.2408: diffuse white of HDR programmes
PEAK_NITS: Final = 1000.0  # the mastering peak nearly all consumer HDR is made for
KNEE: Final = 0.5  # highlights above half of diffuse white are compressed, all below is left alone
BT2020_TO_BT709: Final = np.array(  # ITU-R BT.2087, linear light
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
P3_TO_BT709: Final = np.array(  # from the primaries in SMPTE EG 432-1, white D65, linear light
    [[1.2249, -0.2247, -0.0002], [-0.0420, 1.0419, 0.0001], [-0.0196, -0.0786, 1.0982]]
)
# ITU-T H.273 primaries
BT2020 = 9
DISPLAY_P3 = 12
_BT2020_MATRICES: Final = frozenset({9, 10})
DISPLAY_GAMMA: Final = 2.4  # ITU-R BT.1886, of SDR video
SDR: Final = ColourTags(matrix=1, primaries=1, transfer=1, full_range=False)


def is_wide(colour: ColourTags) -> bool:
    """Return whether colours must be converted: HDR, or primaries that BT.709 does not have."""
    return (
        colour.is_hdr
        or colour.primaries in {BT2020, DISPLAY_P3}
        or colour.matrix in _BT2020_MATRICES
    )


class ToneMapper:
    """Turns frames of wide colours into 8-bit BT.709 frames.

    `table` is a file of ours that holds the colour table meanwhile.
    """

    def __init__(self, colour: ColourTags, table: Path) -> None:
        is_bt2020 = colour.matrix in _BT2020_MATRICES or colour.primaries == BT2020
        is_tagged_bt709 = colour.matrix == SDR.matrix
        matrix = "bt2020" if is_bt2020 and not is_tagged_bt709 else "bt709"
        self._chain = [
            ("scale", f"in_color_matrix={matrix}:out_range=pc"),
            *(_hdr_filters(colour, table) if colour.is_hdr else _sdr_filters(colour)),
            ("setparams", "color_primaries=bt709:color_trc=bt709:colorspace=gbr"),
            ("scale", "out_color_matrix=bt709:out_range=tv"),
            ("format", "yuv420p"),
        ]
        self._graph: Graph | None = None

    def map(self, frame: VideoFrame) -> VideoFrame:
        """Return the frame as limited-range BT.709 yuv420p of the same size and time."""
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


def _hdr_filters(colour: ColourTags, table: Path) -> list[tuple[str, str]]:
    table.write_text(cube_text(colour.transfer))
    return [("format", "gbrp12le"), ("lut3d", f"file={table}:interp=tetrahedral")]


def _sdr_filters(colour: ColourTags) -> list[tuple[str, str]]:
    """Return the filters to BT.709 by way of linear light, in 16 bits.

    A table would blur the steep start of the gamma curve, where colours leave BT.709.
    """
    primaries = P3_TO_BT709 if colour.primaries == DISPLAY_P3 else BT2020_TO_BT709
    mixed = ":".join(
        f"{to}{of}={primaries[row, column]}"
        for row, to in enumerate("rgb")
        for column, of in enumerate("rgb")
    )
    return [
        ("format", "gbrp16le"),
        ("lutrgb", _gamma(DISPLAY_GAMMA)),
        ("colorchannelmixer", mixed),
        ("lutrgb", _gamma(1 / DISPLAY_GAMMA)),
    ]


def _gamma(exponent: float) -> str:
    power = f"pow(val/maxval\\,{exponent:.6f})*maxval"
    return ":".join(f"{channel}={power}" for channel in "rgb")


@lru_cache(maxsize=2)
def cube_text(transfer: int) -> str:
    """Return the table in Adobe's .cube form: red fastest, values 0..1."""
    axis = np.linspace(0.0, 1.0, TABLE_SIDE)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    table = to_sdr(np.stack((red, green, blue), axis=-1).reshape(-1, 3), transfer)
    rows = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in table.tolist())

    return f"LUT_3D_SIZE {TABLE_SIDE}\n{rows}\n"


def to_sdr(signal: Values, transfer: int) -> Values:
    """Return BT.2020 signal values [N, 3] in 0..1 as BT.709 ones for a display of gamma 2.4."""
    light = _hlg_light(signal) if transfer == HLG else _pq_light(signal)
    light = np.maximum(light @ BT2020_TO_BT709.T, 0.0)
    # Scaling by the peak keeps the hue of highlights.
    peak = np.maximum(light.max(axis=1, keepdims=True), 1e-9)
    shown: Values = np.clip(light * (_compress(peak) / peak), 0.0, 1.0) ** (1 / DISPLAY_GAMMA)

    return shown


def _pq_light(signal: Values) -> Values:
    """SMPTE ST 2084, in units of reference white."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    light: Values = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return light * (10_000 / REFERENCE_WHITE_NITS)


def _hlg_light(signal: Values) -> Values:
    """ITU-R BT.2100 hybrid log-gamma with its system gamma of 1.2, in units of reference white."""
    a = 0.17883277
    b = 0.28466892
    c = 0.55991073
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
