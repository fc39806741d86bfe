"""The probe child: an untrusted file's open descriptor in, what its headers say out.

It opens files as the workers do, by the same code within the same limits: what it lets in they can
read. Run by `service.intake.uploads`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from service.sandbox.serving import Handle, Reply, child_limits, serve
from worker.settings import MediaLimits

CPU_S = 10  # for one file; its headers take a hundredth of that


def main(handle: Handle | None = None) -> None:
    """Answer probes until the parent closes the socket; with another `handle`, whatever it does."""
    memory_bytes, limits_json = sys.argv[2:4]
    limits = MediaLimits.model_validate_json(limits_json)
    serve(
        lambda: (handle or load(limits), {"child": "probe"}),
        child_limits(int(memory_bytes), cpu_s=CPU_S),
    )


def load(limits: MediaLimits) -> Handle:
    """Return what answers a probe: width, height, frames and seconds, or the code of a failure.

    The libraries are loaded here, confined: they start threads, which must not be before.
    """
    import av

    from worker.media.media_errors import MediaError

    # FFmpeg would log what it thinks of each file, names of tracks included.
    av.logging.set_level(None)

    def probe(request: Mapping[str, Any], files: Sequence[BinaryIO]) -> Reply:
        media_type = request["media_type"]
        try:
            if media_type.startswith("image/"):
                return Reply(_image(files[0], limits))
            return Reply(_video(files[0], media_type, limits))
        except MediaError as error:
            return Reply({"code": error.code, "detail": error.message})

    return probe


def _image(file: BinaryIO, limits: MediaLimits) -> Mapping[str, Any]:
    from worker.media.image_files import probe_image

    header = probe_image(file, limits)
    return {"width": header.width, "height": header.height, "frames": header.frames}


def _video(file: BinaryIO, media_type: str, limits: MediaLimits) -> Mapping[str, Any]:
    from worker.video.declared_size import declared
    from worker.video.probe import open_container

    container, stream = open_container(file, media_type, limits)
    with container:
        size = declared(container, stream)

    return {
        "width": size.width,
        "height": size.height,
        "frames": size.frames,
        "duration_s": size.duration_s,
    }


if __name__ == "__main__":
    main()
