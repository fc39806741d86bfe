"""One swap of nobody into nothing: what libraries and networks do only once is done before the
first caller waits.
"""

from __future__ import annotations

import numpy as np

from models.inference.engine import FaceSwapEngine
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.finding.face_mesh import RegionOfInterest
from models.inference.frames.image_frame import ImageFrame
from models.inference.identity import IdentityCode
from models.inference.options import SwapOptions

KEY = "warm-up"


def warm_up(engine: FaceSwapEngine) -> None:
    """Run detection, mesh, IIM, IDN and paste once on a grey image.

    Costs about a second, holds nothing.
    """
    # Grey: nothing is found in it, but everything has run once.
    image = np.full((2 * TEMPLATE_SIZE, 2 * TEMPLATE_SIZE, 3), 127, np.uint8)
    engine.detect(image)
    canonical = engine.painter.canonical

    if canonical is None:
        return

    still = ImageFrame(image)
    # The canonical face in the middle: a mesh that fits, without a photo of anybody.
    landmarks = canonical.mesh[:, :2] + TEMPLATE_SIZE // 2
    engine.mesh.look(still, RegionOfInterest.of_landmarks(landmarks))
    engine.video_mesh.look(still, RegionOfInterest.of_landmarks(landmarks))
    embedding = np.zeros(engine.pack.manifest.encoder.embedding, np.float32)
    texture = np.full((TEMPLATE_SIZE, TEMPLATE_SIZE, 3), 127, np.uint8)
    code = IdentityCode(engine.pack.id, embedding, texture=texture, landmarks=canonical.mesh[:, :2])

    try:
        identity = engine.identity(KEY, code, engine.specialise(code))
        painted = engine.painter.paint(still, landmarks, identity, SwapOptions())
        still.paste(painted.face, painted.mask, painted.to_crop)
    # The identity is nobody's and must not take a place.
    finally:
        engine.forget(KEY)
