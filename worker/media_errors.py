"""What can be wrong with media: one error tree, each with a stable code and a message safe to show.

MediaError
├── UnsupportedMedia   unsupported_media   a container, codec or pixel layout that is not accepted
├── DamagedMedia       damaged_media       truncated or broken before the first usable picture
├── MediaTooLarge      media_too_large     more pixels, frames or seconds than the limits allow
├── MediaTimeout       media_timeout       decoding went on for longer than the job may take
├── JobCanceled        canceled            whoever asked for the job has taken it back
└── QualityTooLow      min_quality         the film was made, but is worse than the job accepts
"""

from __future__ import annotations


class MediaError(Exception):
    """A failure caused by the media itself; `message` names no path and no user's file."""

    code = "media_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UnsupportedMedia(MediaError):  # noqa: N818 - named by what it says, as HTTP's own 415
    code = "unsupported_media"


class DamagedMedia(MediaError):  # noqa: N818
    code = "damaged_media"


class MediaTooLarge(MediaError):  # noqa: N818
    code = "media_too_large"


class MediaTimeout(MediaError):  # noqa: N818
    code = "media_timeout"


class JobCanceled(MediaError):  # noqa: N818
    code = "canceled"


class QualityTooLow(MediaError):  # noqa: N818
    code = "min_quality"
