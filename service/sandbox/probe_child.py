"""The probe child: a film's open file in, what its headers say out.

Run by `service.intake.uploads`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import av

from service.sandbox.serving import Handle, Reply, child_limits, serve

# By demuxer; none of them opens a second file, as playlists (hls, concat, dash) would.
_DEMUXERS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/x-msvideo": "avi",
    "video/mp2t": "mpegts",
}

_ALIASES = {"mov": "mov,mp4,m4a,3gp,3g2,mj2", "matroska": "matroska,webm"}


def main(handle: Handle | None = None) -> None:
    """Answer probes until the parent closes the socket; with another `handle`, whatever it does."""
    av.logging.set_level(None)
    serve(lambda: (handle or probe, {"child": "probe"}), child_limits(int(sys.argv[2]), cpu_s=10))


def probe(request: Mapping[str, Any], files: Sequence[BinaryIO]) -> Reply:
    """Return width, height, frames and seconds of the film, or `undecodable`."""
    try:
        demuxer = _DEMUXERS[request["media_type"]]
        options = {
            "protocol_whitelist": "",
            "format_whitelist": demuxer if demuxer != "mov" else "mov,mp4,m4a,3gp,3g2,mj2",
        }
        with av.open(files[0], mode="r", format=demuxer, options=options) as film:
            if not film.streams.video:
                return Reply({"code": "undecodable", "detail": "The film has no picture"})
            return Reply(_measure(film))
    except (av.FFmpegError, ValueError, IndexError):
        return Reply({"code": "undecodable", "detail": "The film's headers cannot be read"})


def _measure(film: av.container.InputContainer) -> Mapping[str, Any]:
    stream = film.streams.video[0]
    duration_s = _duration_s(film, stream)
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    frames = stream.frames or round((duration_s or 0) * rate)
    context = stream.codec_context
    return {
        "width": context.width,
        "height": context.height,
        "frames": frames,
        "duration_s": duration_s,
    }


def _duration_s(
    film: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return film.duration / av.time_base if film.duration else None


if __name__ == "__main__":
    main()
