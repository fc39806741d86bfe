"""What a job asks its video to be, settled against what the source is and what containers can
hold.
"""

from __future__ import annotations

from typing import Final, Literal

from worker.contract.options import OutputOptions
from worker.formats import ANIMATION_FORMATS, CONTAINERS, VIDEO_FORMATS, Codec, VideoFormat
from worker.media.media_errors import UnsupportedMedia
from worker.video.encoder import EncoderSettings
from worker.video.segments import OutputSettings

# What a source becomes where the job does not say; MP4 for containers that are not written here.
_OUTPUT_OF: Final[dict[str, VideoFormat]] = {
    "video/quicktime": "mov",
    "video/matroska": "mkv",
    "video/webm": "webm",
}


def output_settings(
    output: OutputOptions,
    audio: Literal["copy", "drop"],
    media_type: str,
) -> OutputSettings:
    """Return the settings of the output; what the options leave open follows the source's type.

    Raises UnsupportedMedia for a codec that the format cannot hold, or a format that is not a
    video's.
    """
    file_format = _format(output, media_type)
    codecs = CONTAINERS[file_format].codecs
    # The first is what most players of the container can show.
    codec = output.codec or codecs[0]

    if codec not in codecs:
        raise UnsupportedMedia(f"{file_format} holds {' or '.join(codecs)}, not {codec}")

    encoder = EncoderSettings(codec=codec, crf=_crf(output, codec))
    return OutputSettings(
        encoder=encoder, format=file_format, audio=audio, max_side=output.max_side
    )


def _format(output: OutputOptions, media_type: str) -> VideoFormat:
    for file_format in VIDEO_FORMATS:
        if output.format == file_format:
            return file_format

    if output.format is not None:
        raise UnsupportedMedia(
            f"a video is written as {', '.join((*VIDEO_FORMATS, *ANIMATION_FORMATS))},"
            f" not as {output.format}"
        )

    return _OUTPUT_OF.get(media_type, "mp4")


def _crf(output: OutputOptions, codec: Codec) -> int | None:
    """CRF as given, or from `quality` 1..100: 75 is the default of H.264 here, and each codec's
    scale is its own.
    """
    if output.crf is not None or output.quality is None:
        return output.crf

    crf = 51 - 0.41 * output.quality
    # VP9 and AV1 count to 63.
    return round(crf if codec in {"h264", "hevc"} else crf * 63 / 51)
