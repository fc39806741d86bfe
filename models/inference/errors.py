"""What can go wrong in inference.

InferenceError
├── PhotoError                a photo cannot become an identity
│   ├── NoFaceError           no_face
│   ├── SeveralFacesError     several_faces
│   ├── PhotosDisagreeError   photos_disagree
│   └── LowQualityError       low_quality
├── FaceNotFoundError         face_not_found: a selector matched nobody
├── BadIdentityError          bad_identity: stored bytes are not an identity of this pack
└── DeviceUnavailableError    device_unavailable
"""

from __future__ import annotations

from typing import ClassVar


class InferenceError(Exception):
    """Base of all errors of this package: a stable `code` and a message that is safe to show to a
    client.
    """

    # Codes are part of the API's answers and of a job's record: they do not change.
    code: ClassVar[str] = "inference_failed"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class PhotoError(InferenceError):
    """A photo cannot be used to register an identity."""

    # Errors about photos can be remedied by the caller with another photo.
    code = "photo_unusable"


class NoFaceError(PhotoError):
    code = "no_face"


class SeveralFacesError(PhotoError):
    code = "several_faces"


class PhotosDisagreeError(PhotoError):
    code = "photos_disagree"


class LowQualityError(PhotoError):
    code = "low_quality"


class FaceNotFoundError(InferenceError):
    code = "face_not_found"


# Not the caller's photo: what is stored fits another pack, or is damaged.
class BadIdentityError(InferenceError):
    code = "bad_identity"


class DeviceUnavailableError(InferenceError):
    code = "device_unavailable"
