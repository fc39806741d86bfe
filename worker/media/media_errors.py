"""What can be wrong with media: failures of a job that are certain.

JobFailure (worker.errors)
└── MediaError
    ├── UnsupportedMedia   unsupported_media_type   a container, codec or layout not accepted
    ├── DamagedMedia       undecodable              broken before the first usable image or frame
    ├── MediaTooLarge      media_too_large          more pixels, frames or seconds than are allowed
    └── QualityTooLow      low_quality_result       the video is worse than the job accepts
"""

from __future__ import annotations

from typing import ClassVar

from worker.errors import JobFailure
from worker.failures import FailureCode


class MediaError(JobFailure):
    """A failure caused by the media itself; the message names no path and no user's file."""

    reason: ClassVar[FailureCode] = FailureCode.UNDECODABLE

    def __init__(self, message: str) -> None:
        super().__init__(self.reason, message)


class UnsupportedMedia(MediaError):
    reason = FailureCode.UNSUPPORTED_MEDIA_TYPE


class DamagedMedia(MediaError):
    reason = FailureCode.UNDECODABLE


class MediaTooLarge(MediaError):
    reason = FailureCode.MEDIA_TOO_LARGE


class QualityTooLow(MediaError):
    reason = FailureCode.LOW_QUALITY_RESULT
