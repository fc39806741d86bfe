"""Refuses targets that must not be swapped: sexual content, and people who seem under age."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from models.inference.arrays import RgbImage
from models.inference.engine import FaceSwapEngine
from models.inference.finding.face_mesh import MeshedFace
from models.inference.frames.frame import Frame
from models.inference.safety.age import ADULT_FROM, ApparentAge
from models.inference.safety.nudity import refused_band
from worker.errors import JobFailure
from worker.failures import FailureCode

# Two networks look at each: every sample of the survey would take longer than the survey.
LOOK_EVERY_S = 2.0
# The largest ones: in a crowd the faces are too small to tell an age from.
MOST_PEOPLE = 5
# Three moments even out a face that is turned or blurred once.
CHIPS_A_PERSON = 3
# Of smaller faces the 64 px chip that the network sees is enlarged, and adults look younger.
LEAST_EYE_PX = 30.0


@dataclass
class TargetExaminer:
    """Looks at samples of one target; `require_allowed` comes before a frame is swapped."""

    engine: FaceSwapEngine
    _scores: list[float] = field(default_factory=list, init=False)
    _chips: dict[Hashable, list[RgbImage]] = field(
        default_factory=lambda: defaultdict(list), init=False
    )
    _next_look_s: float = field(default=float("-inf"), init=False)

    def look(
        self, frame: Frame, faces: Sequence[tuple[Hashable, MeshedFace]], time_s: float = 0.0
    ) -> None:
        """Look at a sample, every two seconds; `faces` are named by person or track."""
        safety = self.engine.safety
        if safety is None or time_s < self._next_look_s:
            return

        self._next_look_s = time_s + LOOK_EVERY_S

        self._scores += safety.nudity_scores(frame, [face.box for _, face in faces])
        largest = sorted(faces, key=lambda named: -named[1].eye_px)[:MOST_PEOPLE]

        for name, face in largest:
            chips = self._chips[name]
            if face.eye_px >= LEAST_EYE_PX and len(chips) < CHIPS_A_PERSON:
                chips.append(self.engine.encoder.chip(frame, face.landmarks))

    @property
    def nudity_scores(self) -> Sequence[float]:
        """Return the scores of all samples looked at."""
        return self._scores

    def ages(self) -> dict[Hashable, ApparentAge]:
        """Return the apparent age of everyone whose face was large enough to tell."""
        safety = self.engine.safety
        if safety is None:
            return {}

        ages = {name: safety.apparent_age(chips) for name, chips in self._chips.items()}
        return {name: age for name, age in ages.items() if age is not None}

    def require_allowed(self) -> None:
        """Raise JobFailure `sexual_content` or `apparent_minor` for what must not be swapped."""
        require_allowed(self._scores, self.ages().values())


def require_allowed(nudity_scores: Sequence[float], ages: Iterable[ApparentAge]) -> None:
    """Raise JobFailure `sexual_content` or `apparent_minor` for what must not be swapped."""
    if band := refused_band(nudity_scores):
        raise JobFailure(
            FailureCode.SEXUAL_CONTENT,
            "The target seems to show sexual content.",
            {"refused": {"band": band}},
        )

    for age in ages:
        if age.years < ADULT_FROM:
            raise JobFailure(
                FailureCode.APPARENT_MINOR,
                "Somebody in the target seems to be under 18.",
                {"refused": {"band": age.band}},
            )
