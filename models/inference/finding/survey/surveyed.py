"""What a survey says of a video: who is in it and where, as parts of it and as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from models.inference.arrays import Box, Embedding


@dataclass(frozen=True)
class Sighting:
    """A face of one sample: whose it is, where (left, top, right, bottom in pixels of the upright
    frame), and how far its eyes are apart.
    """

    person_id: str
    box: Box
    eye_px: float


@dataclass(frozen=True)
class SurveyedPerson:
    """Someone found: the mean of their views, whom they may be as well, and their share of the
    video: squared eye distance times seconds. `human` is their best (see `face_finder`).
    """

    person_id: str
    embedding: Embedding
    resembles: str | None
    share: float
    human: float


@dataclass(frozen=True)
class Surveyed:
    """Everyone of a video in order of appearance, and the faces of each sample, left to right.

    `hard_to_find` says that some are small or turned: a swap has to look for them more often.
    """

    people: tuple[SurveyedPerson, ...] = ()
    samples: tuple[tuple[Sighting, ...], ...] = ()
    hard_to_find: bool = False


@dataclass(frozen=True)
class SeenFace:
    """A face of one sample, before it is known whose it is: the number of its track in its part of
    the video, where it is, and how far its eyes are apart.
    """

    track: int
    box: Box
    eye_px: float


@dataclass(frozen=True)
class FollowedFace:
    """One track: the weighted sum of its views in which nothing was in doubt, the sum of their
    weights, and its best `human`.
    """

    view_sum: Embedding
    weight: float
    human: float


@dataclass(frozen=True)
class SurveyPart:
    """What the samples of one part of a video show; tracks are numbered in order of appearance."""

    times_s: tuple[float, ...]
    samples: tuple[tuple[SeenFace, ...], ...]
    tracks: tuple[FollowedFace, ...]
    hard_to_find: bool


@dataclass(frozen=True)
class Gathered:
    """Everyone in the parts of a video, and `names`: the `person_id` of each track of each part."""

    surveyed: Surveyed
    names: tuple[tuple[str, ...], ...]
