"""What can be wrong with media: failures of a job that trying again would not mend.

JobFailure (worker.errors)
└── MediaError
    ├── UnsupportedMedia   unsupported_media    a container, codec or pixel layout that is not
    accepted ├── DamagedMedia       input_unreadable     truncated or broken before the first usable
    picture ├── MediaTooLarge      too_large            more pixels, frames or seconds than the
    limits allow └── QualityTooLow      low_quality_result   the film was made, but is worse than
    the job accepts
"""

from __future__ import annotations

from typing import ClassVar

from worker.contract import FailureCode
from worker.errors import JobFailure


class MediaError(JobFailure):
    """A failure caused by the media itself; the message names no path and no user's file."""

    failure: ClassVar[FailureCode] = "input_unreadable"

    def __init__(self, message: str) -> None:
        super().__init__(self.failure, message)


class UnsupportedMedia(MediaError):
    failure = "unsupported_media"


class DamagedMedia(MediaError):
    failure = "input_unreadable"


class MediaTooLarge(MediaError):
    failure = "too_large"


class QualityTooLow(MediaError):
    failure = "low_quality_result"
