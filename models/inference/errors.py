"""What can go wrong in inference.

InferenceError
├── PhotoError            a photo cannot become an identity
│   ├── NoFace            no_face
│   ├── SeveralFaces      several_faces
│   ├── PhotosDisagree    photos_disagree
│   └── LowQuality        low_quality
├── FaceNotFound          face_not_found: a selector matched nobody
├── BadIdentity           bad_identity: stored bytes are not an identity of this pack
└── DeviceUnavailable     device_unavailable
"""

from __future__ import annotations

from typing import ClassVar


class InferenceError(Exception):
    """Base of all errors of this package: a stable `code` and a message that is safe to show to a client."""

    code: ClassVar[str] = "inference_failed"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class PhotoError(InferenceError):
    """A photo cannot be used to register an identity."""

    code = "photo_unusable"


class NoFace(PhotoError):
    code = "no_face"


class SeveralFaces(PhotoError):
    code = "several_faces"


class PhotosDisagree(PhotoError):
    code = "photos_disagree"


class LowQuality(PhotoError):
    code = "low_quality"


class FaceNotFound(InferenceError):
    code = "face_not_found"


class BadIdentity(InferenceError):
    code = "bad_identity"


class DeviceUnavailable(InferenceError):
    code = "device_unavailable"
