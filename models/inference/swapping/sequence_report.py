"""What happened to each person of a video, gathered frame by frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from models.inference.arrays import Landmarks
from models.inference.finding.alignment import Fit, align
from models.inference.frames.affine import transform
from models.inference.options import FaceReport, PersonReport


@dataclass
class PersonRecord:
    """Sums over one person's frames; `report` turns them into means."""

    person_id: str
    fit: Fit
    identity_key: str | None = None
    assignment: int | None = None
    seen: int = 0
    swapped: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    similarities: list[float] = field(default_factory=list)
    yaw_range_deg: tuple[float, float] = (180.0, -180.0)
    first_seen_s: float = 0.0
    # Reversed, so that the first face sets both ends.
    last_seen_s: float = 0.0
    _aligned: list[Landmarks] = field(default_factory=list)
    _jitter_sum: float = 0.0
    _jitter_count: int = 0

    def add(self, face: FaceReport, landmarks: Landmarks, time_s: float, *, is_new: bool) -> None:
        """Count one frame in which the person was seen."""
        self.first_seen_s = time_s if self.seen == 0 else self.first_seen_s
        self.last_seen_s = time_s
        self.seen += 1
        self.identity_key = face.identity_key or self.identity_key
        # Once assigned, a person stays so in the report, whatever happens in later frames.
        self.assignment = self.assignment if face.assignment is None else face.assignment
        self.yaw_range_deg = (
            min(self.yaw_range_deg[0], face.yaw_deg),
            max(self.yaw_range_deg[1], face.yaw_deg),
        )

        if face.swapped:
            self.swapped += 1
        # Counted only for those who were to be swapped: everyone else is skipped by intent.
        elif face.reason is not None and face.identity_key is not None:
            self.skipped[face.reason] += 1

        self._add_jitter(landmarks, is_new=is_new)

    def report(self) -> PersonReport:
        return PersonReport(
            person_id=self.person_id,
            identity_key=self.identity_key,
            frames_seen=self.seen,
            frames_swapped=self.swapped,
            frames_skipped=dict(self.skipped),
            identity_similarity=float(np.mean(self.similarities)) if self.similarities else None,
            jitter=self._jitter_sum / max(1, self._jitter_count),
            yaw_range_deg=self.yaw_range_deg,
            first_seen_s=self.first_seen_s,
            last_seen_s=self.last_seen_s,
            assignment=self.assignment,
        )

    def _add_jitter(self, landmarks: Landmarks, *, is_new: bool) -> None:
        """Second difference in time, in template pixels: 0 for a face that moves evenly, or not at
        all.
        """
        if is_new:
            self._aligned.clear()

        # Aligned first, so that a head that moves steadily has no jitter.
        self._aligned = [*self._aligned[-2:], transform(landmarks, align(landmarks, self.fit))]
        if len(self._aligned) == 3:
            before, now, after = self._aligned
            # The second difference: zero for standing still and for even motion.
            self._jitter_sum += float(np.linalg.norm(after - 2 * now + before, axis=1).mean())
            self._jitter_count += 1
