"""What a job asks its film to be, settled against what the source is and what containers can
hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from worker.contract import OutputOptions
from worker.media.media_errors import UnsupportedMedia
from worker.video.encoder import Codec, EncoderSettings
from worker.video.mux import FilmFormat
from worker.video.probe import VideoInfo, VideoLimits
from worker.video.segments import FilmSettings

CODECS: Final[dict[FilmFormat, tuple[Codec, ...]]] = {
    "mp4": ("h264", "hevc", "av1", "vp9"),
    "mov": ("h264", "hevc"),
    "mkv": ("h264", "hevc", "vp9", "av1"),
    "webm": ("vp9", "av1"),
}
_SAMPLED_BYTES: Final = 64


def film_settings(
    output: OutputOptions,
    audio: Literal["copy", "drop"],
    source: Path,
    info: VideoInfo,
    limits: VideoLimits,
) -> FilmSettings:
    """The settings of the film; what the options leave open follows the source.

    Raises UnsupportedMedia for a codec that the format cannot hold, or a format that is not a
    film's.
    """
    format = _format(output, source, info)
    codec = output.codec or CODECS[format][0]
    if codec not in CODECS[format]:
        raise UnsupportedMedia(f"{format} holds {' or '.join(CODECS[format])}, not {codec}")
    encoder = EncoderSettings(codec=codec, crf=_crf(output, codec))
    return FilmSettings(
        encoder=encoder, format=format, audio=audio, max_side=output.max_side, limits=limits
    )


def _format(output: OutputOptions, source: Path, info: VideoInfo) -> FilmFormat:
    if output.format in CODECS:
        return output.format
    if output.format is not None:
        raise UnsupportedMedia(
            f"a video is written as {', '.join(CODECS)} or gif, not as {output.format}"
        )
    with source.open("rb") as file:
        start = file.read(_SAMPLED_BYTES)
    if info.container == "matroska":
        return "webm" if b"webm" in start else "mkv"
    return "mov" if start[8:12] == b"qt  " else "mp4"


def _crf(output: OutputOptions, codec: Codec) -> int | None:
    """CRF as given, or from `quality` 1..100: 75 is the default of H.264 here, and each codec's
    scale is its own.
    """
    if output.crf is not None or output.quality is None:
        return output.crf
    crf = 51 - 0.41 * output.quality
    return round(crf if codec in {"h264", "hevc"} else crf * 63 / 51)
