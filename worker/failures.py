"""Why a job can fail: one name each, the same in an upload's problem and in a job's error."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class FailureCode(StrEnum):
    """The stable code of a failed job, or of a file that is refused when it is uploaded.

    All but `ATTEMPTS_EXHAUSTED` and `OUT_OF_MEMORY` are certain: trying again would give the same.
    """

    APPARENT_MINOR = "apparent_minor"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    BAD_IDENTITY = "bad_identity"
    CONSENT_EXPIRED = "consent_expired"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    EXPORT_UNAVAILABLE = "export_unavailable"
    FACE_NOT_FOUND = "face_not_found"
    IDENTITY_BLOCKED = "identity_blocked"
    IDENTITY_ERASED = "identity_erased"
    IDENTITY_REVIEW = "identity_review"
    INPUT_MISSING = "input_missing"
    INTERNAL_ERROR = "internal_error"
    LOW_QUALITY_RESULT = "low_quality_result"
    MEDIA_TOO_LARGE = "media_too_large"
    NO_FACE = "no_face"
    NOBODY_SWAPPED = "nobody_swapped"
    OUT_OF_MEMORY = "out_of_memory"
    REFINEMENT_UNAVAILABLE = "refinement_unavailable"
    SEXUAL_CONTENT = "sexual_content"
    SIGNING_FAILED = "signing_failed"
    TIMED_OUT = "timed_out"
    UNDECODABLE = "undecodable"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"

    @property
    def check(self) -> str | None:
        """The refusal that this failure is; None where it is none."""
        return _CHECKS.get(self)

    @classmethod
    def _missing_(cls, _value: object) -> FailureCode:
        # A record of an earlier version may hold a name that is no longer used.
        return cls.INTERNAL_ERROR


_CHECKS: Mapping[FailureCode, str] = {
    FailureCode.SEXUAL_CONTENT: "nudity",
    FailureCode.APPARENT_MINOR: "age",
    FailureCode.IDENTITY_BLOCKED: "blocklist",
    FailureCode.IDENTITY_REVIEW: "blocklist",
}
