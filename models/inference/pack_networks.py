"""The networks of a pack, each opened as the part of the engine that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.inference.counters import Counters
from models.inference.finding.blaze_face import BlazeFace
from models.inference.finding.eyes.iris_network import IrisNetwork
from models.inference.finding.face_detector import FaceDetector
from models.inference.finding.face_mesh import FaceMesh
from models.inference.finding.identity_encoder import IdentityEncoder
from models.inference.painting.face_painter import FacePainter
from models.inference.painting.occlusion import CoverFinder
from models.inference.painting.weight_generator import WeightGenerator
from models.inference.safety.checks import SafetyChecks
from models.inference.session import Network, SessionFactory
from models.inference.texture.face_texture import CanonicalFace

if TYPE_CHECKING:
    from models.packs.store import Pack

TEXTURE_GUIDED = 6  # channels: the target's three, and the placed texture's three beside them


@dataclass(frozen=True)
class PackNetworks:
    """Opens the networks of `pack`; each call opens its own sessions.

    All raise the pack's errors when a file is missing.
    """

    pack: Pack
    sessions: SessionFactory
    counters: Counters

    def detector(self) -> FaceDetector:
        """Return the detector: one network for faces near the camera, one for all others."""
        return FaceDetector(
            BlazeFace.short_range(self.sessions.open(self.pack.graph("detector_short"))),
            BlazeFace.full_range(self.sessions.open(self.pack.graph("detector_full"))),
        )

    def mesh(self) -> FaceMesh:
        """Return the network of the 468 landmarks."""
        return FaceMesh(self.sessions.open(self.pack.graph("face_mesh")))

    def lips(self) -> Network | None:
        """Return the network that looks at lips closely; a pack from before it was part of them has
        none.
        """
        return self.sessions.open(self.pack.graph("lips")) if self.pack.has("lips") else None

    def iris(self) -> IrisNetwork | None:
        """Return the network of the eyes; a pack from before it was part of them has none."""
        # Without it, eyes are part of the texture and do not move.
        has_one = self.pack.has("iris")
        return IrisNetwork(self.sessions.open(self.pack.graph("iris"))) if has_one else None

    def encoder(self) -> IdentityEncoder:
        """Return the network that says who somebody is, with the crop it was trained on."""
        manifest = self.pack.manifest
        # Where the encoder's crop lies is part of the pack: each encoder was trained on its own.
        return IdentityEncoder(
            network=self.sessions.open(self.pack.graph("encoder")),
            size=manifest.encoder.size,
            fit=manifest.alignment,
            template_size=manifest.encoder.template_size,
            from_template=np.array(manifest.encoder.from_template),
            centre=self.pack.embedding_mean(),
            counters=self.counters,
        )

    def generator(self) -> WeightGenerator:
        """Return the identity injection module (IIM) of the paper."""
        return WeightGenerator(self.sessions.open(self.pack.graph("iim")))

    def painter(self) -> FacePainter:
        """Return what paints faces; packs whose network sees no texture have no canonical face."""
        manifest = self.pack.manifest
        guided = manifest.swapper.inputs == TEXTURE_GUIDED
        # Packs as the paper has them give a network the target alone.
        canonical = CanonicalFace.load(self.pack.canonical) if guided else None

        has_cover = self.pack.has("cover")
        cover = (
            CoverFinder(self.sessions.open_painting(self.pack.graph("cover")))
            if has_cover
            else None
        )
        return FacePainter(manifest.alignment, canonical, self.counters, cover)

    def safety(self, *, nudity: bool, age: bool) -> SafetyChecks | None:
        """Return the checks that are asked for and that the pack has networks for."""
        return SafetyChecks.load(self.pack, self.sessions, nudity=nudity, age=age)
