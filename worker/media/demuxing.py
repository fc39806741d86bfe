"""The one place where FFmpeg opens a file to read it: which demuxers and decoders it may use.

FFmpeg has several hundred decoders, and tries those that a file names while it is opened. Most are
rarely used and seldom attacked by anyone friendly, so only those of formats that people send are
allowed here, in the API's probe and in the workers alike.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import BinaryIO, Final

import av
from av.container import InputContainer

# Seconds for opening, and for each later read: a local file answers at once or is broken.
OPEN_TIMEOUT_S: Final = 20.0

VIDEO_DECODERS: Final = frozenset(
    {
        *("h264", "hevc", "vp8", "vp9", "av1", "libdav1d"),
        *("mpeg4", "mpeg2video", "mpeg1video", "mjpeg"),
        *("prores", "dnxhd", "theora", "ffv1"),
    }
)
AUDIO_DECODERS: Final = frozenset(
    {
        *("aac", "mp3", "mp3float", "mp2", "mp2float", "opus", "libopus", "vorbis"),
        *("flac", "alac", "ac3", "eac3", "amrnb", "amrwb", "adpcm_ms", "adpcm_ima_wav"),
        *("pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"),
        *("pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le"),
        *("pcm_mulaw", "pcm_alaw"),
    }
)
# Opened by FFmpeg for a subtitle track's header, also when its packets are only copied.
SUBTITLE_DECODERS: Final = frozenset({"mov_text", "srt", "subrip", "ass", "ssa", "webvtt"})

_WHITELIST: Final = ",".join(sorted(VIDEO_DECODERS | AUDIO_DECODERS | SUBTITLE_DECODERS))
# An MP4 may name another file as the place of its data; FFmpeg would open it.
_DEMUXER_OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "mov": {"enable_drefs": "0", "use_absolute_path": "0"}
}


def open_input(file: BinaryIO, demuxer: str) -> InputContainer:
    """Return the open `file`, read from its start with FFmpeg's `demuxer`.

    FFmpeg gets the descriptor and no name: it can open no other file. Raises FFmpeg's errors.
    """
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # the file's own `seek` may stay within its buffer
    options = {
        "fd": str(file.fileno()),
        "protocol_whitelist": "fd",
        "format_whitelist": av.ContainerFormat(demuxer, "r").name,  # with all its aliases
        "codec_whitelist": _WHITELIST,
        **_DEMUXER_OPTIONS.get(demuxer, {}),
    }
    return av.open("fd:", "r", format=demuxer, options=options, timeout=OPEN_TIMEOUT_S)
