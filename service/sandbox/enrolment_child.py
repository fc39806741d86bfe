"""The enrolment child: photos in, an identity code and its specialised weights out.

Run by `service.identities.enrolment`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from service.sandbox.serving import Handle, Reply, child_limits, serve
from worker.sandbox.confinement import memory_bound, rules_for
from worker.sandbox.limits import AWAITED_NICENESS

if TYPE_CHECKING:
    from models.inference.engine import FaceSwapEngine
    from models.inference.identity import PhotoReport
    from worker.settings import MediaLimits


Load = Callable[[str, Path, str, str], tuple[Handle, Mapping[str, Any]]]


def main(load_handler: Load | None = None) -> None:
    """Load the pack named on the command line, then answer; by default with registrations."""
    _, _, pack_name, packs_root, device, memory_bytes, limits_json = sys.argv
    rules = rules_for(device)
    serve(
        lambda: (load_handler or load)(pack_name, Path(packs_root), device, limits_json),
        # Sixty seconds of all cores together: eight large photos take about ten.
        child_limits(memory_bound(int(memory_bytes), rules), cpu_s=60),
        # A pack's name may be a path, and a link.
        readable=[Path(packs_root), (Path(packs_root) / pack_name).resolve()],
        device=rules,
        niceness=AWAITED_NICENESS,
    )


def load(
    pack_name: str, packs_root: Path, device: str, limits_json: str
) -> tuple[Handle, Mapping[str, Any]]:
    """Return the handler of registrations on this pack, and what the child says of itself."""
    from models.inference.engine import FaceSwapEngine
    from models.packs.integrity import require_intact
    from models.packs.store import load_pack
    from worker.settings import MediaLimits

    pack = require_intact(load_pack(pack_name, packs_root))
    # Both checks are loaded whatever is asked for: what a request may switch, must be there.
    engine = FaceSwapEngine.load(pack, device=device, nudity_check=True, age_check=True)  # type: ignore[arg-type]
    limits = MediaLimits.model_validate_json(limits_json)
    hello = {"pack": pack.id, "name": pack.name, "digest": pack.digest, "provider": engine.provider}

    return lambda request, files: register(engine, files, limits, request), hello


def register(
    engine: FaceSwapEngine,
    files: Sequence[BinaryIO],
    limits: MediaLimits,
    request: Mapping[str, Any],
) -> Reply:
    """Return the code, the weights and a report for each photo.

    Or the code of the error that kept them from it. `request["checks"]` names the refusals that
    are on. A request with `embedding_only` is answered with the face's embedding alone.
    """
    from models.inference.errors import InferenceError
    from models.inference.safety.nudity import refused_band
    from worker.media.images import decode_image
    from worker.media.media_errors import MediaError

    checks = request.get("checks", ())
    try:
        # Decoded within the limits that the probe has checked the headers against.
        photos = [decode_image(file.read(), limits).bgr for file in files]
        registration = engine.register(photos)

        if "nudity" in checks and (band := refused_band(registration.nudity)):
            return Reply({"refused": {"code": "sexual_content", "check": "nudity", "band": band}})

        embedding = registration.code.embedding.astype("<f4").tobytes()
        if request.get("embedding_only"):
            return Reply({"pack": registration.code.pack}, [embedding])

        weights = engine.specialise(registration.code)
    except (InferenceError, MediaError) as error:
        return Reply({"code": error.code, "detail": str(error)})

    return Reply(
        {
            "photos": [_report(photo) for photo in registration.photos],
            "pack": registration.code.pack,
            "age": registration.age.band if registration.age and "age" in checks else None,
        },
        [registration.code.to_bytes(), weights.to_bytes(), embedding],
    )


def _report(photo: PhotoReport) -> Mapping[str, Any]:
    return {
        # One digit is what a client can act on.
        "face_px": round(float(photo.face_px), 1),
        "sharpness": round(float(photo.sharpness), 1),
        "yaw_deg": round(float(photo.yaw_deg), 1),
        "brightness": round(float(photo.brightness), 1),
        "accepted": bool(photo.accepted),
        "reason": photo.reason,
        "detail": photo.detail,
        "warnings": [{"code": one.code, "detail": one.detail} for one in photo.warnings],
    }


if __name__ == "__main__":
    main()
