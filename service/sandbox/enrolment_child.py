"""The enrolment child: photos in, an identity code and its specialised weights out.

Run by `service.identities.enrolment`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from service.sandbox.serving import Reply, child_limits, serve
from worker.process.logs import log_as_json

if TYPE_CHECKING:
    from models.inference.engine import FaceSwapEngine, PhotoReport
    from worker.media.images import ImageLimits


def main() -> None:
    """Load the pack named on the command line, then register what comes in."""
    _, _, pack_name, packs_root, device, memory_bytes, max_pixels = sys.argv
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = max_pixels  # read once, at import
    from models.inference.engine import FaceSwapEngine
    from models.inference.runtime import CUDA
    from models.inference.warm_up import warm_up
    from models.packs.store import load_pack
    from worker.media.images import ImageLimits

    log_as_json()
    pack = load_pack(pack_name, Path(packs_root))
    engine = FaceSwapEngine.load(pack, device=device)  # type: ignore[arg-type]
    limits = ImageLimits(max_pixels=int(max_pixels))
    on_gpu = engine.provider == CUDA
    if on_gpu:
        warm_up(engine)  # CUDA opens its devices and libraries when first used: before confinement

    hello = {"pack": pack.id, "name": pack.name, "digest": pack.digest, "provider": engine.provider}
    serve(
        lambda _, files: register(engine, files, limits),
        hello,
        # CUDA has mapped more addresses than any sensible limit by now.
        child_limits(None if on_gpu else int(memory_bytes), cpu_s=60),
        [pack.root],
    )


def register(engine: FaceSwapEngine, files: Sequence[BinaryIO], limits: ImageLimits) -> Reply:
    """Return the code, the weights and a report for each photo.

    Or the code of the error that kept them from it.
    """
    from models.inference.errors import InferenceError
    from worker.media.images import decode_image
    from worker.media.media_errors import MediaError

    try:
        photos = [decode_image(file.read(), limits).bgr for file in files]
        registration = engine.register(photos)
        weights = engine.specialise(registration.code)
    except (InferenceError, MediaError) as error:
        return Reply({"code": error.code, "detail": str(error)})
    return Reply(
        {
            "photos": [_report(photo) for photo in registration.photos],
            "pack": registration.code.pack,
        },
        [registration.code.to_bytes(), weights.to_bytes()],
    )


def _report(photo: PhotoReport) -> Mapping[str, Any]:
    return {
        "face_px": round(float(photo.face_px), 1),
        "sharpness": round(float(photo.sharpness), 1),
        "yaw_deg": round(float(photo.yaw_deg), 1),
        "brightness": round(float(photo.brightness), 1),
        "accepted": bool(photo.accepted),
        "reason": photo.reason,
    }


if __name__ == "__main__":
    main()
