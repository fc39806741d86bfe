"""When a face cannot be swapped well, and how it then fades instead of smearing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.inference.finding.face_mesh import MeshedFace
from models.inference.frames.frame import Frame
from models.inference.options import SkipReason, SwapOptions

FADE_S = 0.1  # an original face that could be swapped is never seen for longer
LEAST_OPACITY = 0.01  # less does not change a level
GAP_S = 0.5  # who was away for longer comes back like someone new
MIN_SHARE_IN_FRAME = 0.8  # of the mesh: a face half out of the image has no reliable mesh
MIN_MESH_SCORE = 0.85  # hands and microphones pull it down; an open face has .99 and more


def skip_reason(face: MeshedFace, frame: Frame, options: SwapOptions) -> SkipReason | None:
    """Return why a face is better left alone, or None."""
    if face.eye_px < options.min_face_px:
        return "too_small"
    if abs(face.yaw_deg) > options.max_yaw_deg:
        return "too_turned"

    inside = (face.landmarks >= 0) & (face.landmarks < [frame.width, frame.height])
    if float(np.mean(inside.all(axis=1))) < MIN_SHARE_IN_FRAME:
        return "cut_off"

    return "occluded" if face.score < MIN_MESH_SCORE else None


@dataclass
class Fade:
    """The opacity of one face's swap, which moves towards shown or hidden over a tenth of a
    second.

    A face that was not there before is shown, or not, at once: nobody saw it without the swap.
    """

    opacity: float = field(default=0.0, init=False)
    _time_s: float | None = field(default=None, init=False)

    def reset(self) -> None:
        """Forget what was shown: the next step belongs to another shot."""
        self._time_s = None

    def step(self, time_s: float, *, shown: bool) -> float:
        """Return the opacity for the frame at `time_s`."""
        before_s = self._time_s
        self._time_s = time_s

        if before_s is None or time_s - before_s > GAP_S:
            self.opacity = float(shown)
            return self.opacity

        change = max(0.0, time_s - before_s) / FADE_S
        wanted = self.opacity + (change if shown else -change)
        # Times are rounded: a fade over whole frames ends at 0, not a hair before.
        self.opacity = min(1.0, wanted) if wanted > LEAST_OPACITY else 0.0

        return self.opacity
