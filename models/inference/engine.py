"""The engine: photos become an identity once; images and video frames are swapped many times."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from models.inference.arrays import BgrImage, RgbImage
from models.inference.counters import Counters
from models.inference.errors import FaceNotFoundError
from models.inference.finding.eye_motion import IN_IMAGES, EyeMotion, MovingEyes
from models.inference.finding.face_detector import BlazeFace, FaceDetector
from models.inference.finding.face_finder import FaceFinder
from models.inference.finding.face_mesh import FaceMesh, MeshedFace
from models.inference.finding.face_parts import FaceParts
from models.inference.finding.face_tracker import HUNT_S, SURVEY_SWEEP_S, SWEEP_S, FaceTracker
from models.inference.finding.identity_encoder import IdentityEncoder, likeness
from models.inference.finding.iris_network import IrisNetwork
from models.inference.finding.people import PeopleGallery
from models.inference.finding.people_survey import PeopleSurvey, Surveyed
from models.inference.finding.tracks import TrackedFace
from models.inference.finding.visibility import skip_reason
from models.inference.frames.i420 import I420Frame
from models.inference.frames.still_frame import StillFrame
from models.inference.identity import (
    IdentityCode,
    PhotoReport,
    Registration,
    SourceEyes,
    SpecialisedWeights,
)
from models.inference.options import (
    FaceReport,
    FaceSelector,
    FrameReport,
    PersonReport,
    SequenceReport,
    SwapOptions,
)
from models.inference.painting.face_painter import FacePainter, Identity
from models.inference.painting.face_swapper import FaceSwapper
from models.inference.painting.occlusion import CoverFinder
from models.inference.painting.weight_generator import WeightGenerator
from models.inference.photo_check import PhotoCheck
from models.inference.registration import Registrar, Sitting, sit
from models.inference.runtime import Device
from models.inference.safety.checks import SafetyChecks
from models.inference.selection import Assignment, Candidate, Selection, Unmatched
from models.inference.sequence_swapper import SequenceSwapper
from models.inference.session import SessionFactory
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.iris import cut_out

if TYPE_CHECKING:
    from models.packs.store import Pack

__all__ = [
    "Assignment",
    "Counters",
    "FaceReport",
    "FaceSelector",
    "FaceSwapEngine",
    "FaceTracker",
    "FrameReport",
    "I420Frame",
    "Identity",
    "IdentityCode",
    "MeshedFace",
    "PersonReport",
    "PhotoReport",
    "Registration",
    "SequenceReport",
    "SequenceSwapper",
    "SpecialisedWeights",
    "SwapOptions",
    "SwapOutcome",
    "TrackedFace",
]


@dataclass(frozen=True)
class SwapOutcome:
    """A swapped copy of a still, and what happened to each face that was found, left to right.

    `unmatched` says by the number of an assignment why it chose nobody of its own.
    """

    frame: BgrImage
    faces: tuple[FaceReport, ...]
    unmatched: Mapping[int, Unmatched] = field(default_factory=dict)


@dataclass
class FaceSwapEngine:
    """All models of one pack on one device, for one thread at a time.

    Only `forget` may be called from another.
    """

    pack: Pack
    sessions: SessionFactory
    detector: FaceDetector
    mesh: FaceMesh
    iris: IrisNetwork | None
    encoder: IdentityEncoder
    generator: WeightGenerator
    painter: FacePainter
    max_sessions: int
    counters: Counters
    safety: SafetyChecks | None = None
    _identities: OrderedDict[str, Identity] = field(default_factory=OrderedDict, init=False)
    _holding: Lock = field(default_factory=Lock, init=False)

    @classmethod
    def load(
        cls,
        pack: Pack,
        *,
        device: Device = "auto",
        threads: int = 1,
        max_sessions: int = 16,
        nudity_check: bool = False,
        age_check: bool = False,
    ) -> FaceSwapEngine:
        """Load a pack's models; at most `max_sessions` identities are kept ready.

        Raises `DeviceUnavailableError` when CUDA is asked for and cannot be had, and the pack's own
        errors when a file of it is missing.
        """
        sessions = SessionFactory(device, threads)
        counters = Counters()
        manifest = pack.manifest
        canonical = CanonicalFace.load(pack.canonical) if manifest.swapper.inputs == 6 else None
        cover = CoverFinder(sessions.open(pack.graph("cover"))) if pack.has("cover") else None
        engine = cls(
            pack=pack,
            sessions=sessions,
            detector=FaceDetector(
                BlazeFace.short_range(sessions.open(pack.graph("detector_short"))),
                BlazeFace.full_range(sessions.open(pack.graph("detector_full"))),
            ),
            mesh=FaceMesh(sessions.open(pack.graph("face_mesh"))),
            # A pack installed before the iris network was part of it swaps without it.
            iris=IrisNetwork(sessions.open(pack.graph("iris"))) if pack.has("iris") else None,
            encoder=IdentityEncoder(
                network=sessions.open(pack.graph("encoder")),
                size=manifest.encoder.size,
                fit=manifest.alignment,
                template_size=manifest.encoder.template_size,
                from_template=np.array(manifest.encoder.from_template),
                centre=pack.embedding_mean(),
                counters=counters,
            ),
            generator=WeightGenerator(sessions.open(pack.graph("iim"))),
            painter=FacePainter(manifest.alignment, canonical, counters, cover),
            max_sessions=max_sessions,
            counters=counters,
            safety=SafetyChecks.load(pack, sessions, nudity=nudity_check, age=age_check),
        )

        counters.models_loaded += 5 + pack.has("iris") + pack.has("cover")
        return engine

    @property
    def provider(self) -> str:
        """The execution provider in use, as ONNX Runtime names it."""
        return self.mesh.network.provider

    def register(self, photos: Sequence[BgrImage]) -> Registration:
        """Turn one to eight photos of one person into an identity code.

        Raises `NoFaceError`, `SeveralFacesError`, `LowQualityError` when no photo is good enough,
        and `PhotosDisagreeError` when they show different people.
        """
        check = PhotoCheck(FaceParts.load())
        sittings = [sit(photo, self.detect(photo), check) for photo in photos]
        registrar = Registrar(
            self.pack.id, self.painter.fit, self.encoder, self.painter.canonical, self.iris
        )
        registration = registrar.register(sittings)

        return registration if self.safety is None else self._examined(registration, sittings)

    def _examined(self, registration: Registration, sittings: Sequence[Sitting]) -> Registration:
        """Add what the checks see: nudity in every photo, and the age of those that were used."""
        assert self.safety is not None  # noqa: S101 - the caller has looked
        scores: list[float] = []
        chips: list[RgbImage] = []

        for sitting, report in zip(sittings, registration.photos, strict=True):
            scores += self.safety.nudity_scores(sitting.photo, [sitting.face.box])
            if report.accepted:
                chips.append(self.encoder.chip(sitting.photo, sitting.face.landmarks))

        age = self.safety.apparent_age(chips)
        return replace(registration, nudity=tuple(scores), age=age)

    def specialise(self, code: IdentityCode) -> SpecialisedWeights:
        """Run the IIM once: the code becomes the 18 tensors of its swapper.

        Raises `BadIdentityError`.
        """
        self.counters.iim_passes += 1
        return self.generator.generate(code)

    def identity(self, key: str, code: IdentityCode, weights: SpecialisedWeights) -> Identity:
        """Return the identity ready to swap; its session is kept under `key`, which must change
        with the weights.

        Raises `BadIdentityError` when the weights do not fit this pack.
        """
        held = self.ready(key)
        if held is not None:
            return held

        mesh = self.painter.texture_mesh
        eyes = self._source_eyes(code)
        made = Identity(key, code, self._swapper(weights), mesh, eyes)
        self.counters.sessions_created += 1

        with self._holding:
            self._identities[key] = made
            while len(self._identities) > self.max_sessions:
                self._identities.popitem(last=False)

        return made

    def ready(self, key: str) -> Identity | None:
        """Return the identity that is held under `key`, if one is."""
        with self._holding:
            if key in self._identities:
                self._identities.move_to_end(key)
            return self._identities.get(key)

    def forget(self, key: str) -> None:
        """Drop an identity's session and texture, if they are held.

        Any thread may ask, also during a swap.
        """
        with self._holding:
            self._identities.pop(key, None)

    def detect(self, image: BgrImage) -> list[MeshedFace]:
        """Find the faces of a still, left to right, down to 20 px between the eyes and whichever
        way up.
        """
        return self.finder.find_all(StillFrame(image))

    def swap_frame(
        self, frame: BgrImage, assignments: Sequence[Assignment], options: SwapOptions | None = None
    ) -> SwapOutcome:
        """Swap a still; pixels outside the faces' regions are copied.

        Raises `FaceNotFoundError` when no face is found or none is chosen.
        """
        outcome = self.swap_found(frame, self.detect(frame), assignments, options)
        if not any(face.assignment is not None for face in outcome.faces):
            raise FaceNotFoundError(
                "no face matches the selection" if outcome.faces else "no face was found"
            )

        return outcome

    def swap_found(
        self,
        frame: BgrImage,
        faces: Sequence[MeshedFace],
        assignments: Sequence[Assignment],
        options: SwapOptions | None = None,
    ) -> SwapOutcome:
        """Swap the `faces` that `detect` found in a still, those that are chosen."""
        options = options or SwapOptions()
        still = StillFrame(frame.copy())
        found = {f"p{index + 1}": face for index, face in enumerate(faces)}
        selection = Selection(assignments)
        chosen = selection.choose(
            [self._candidate(still, person_id, face) for person_id, face in found.items()]
        )
        reports = [
            self._swap_face(still, person_id, face, chosen.get(person_id), options)
            for person_id, face in found.items()
        ]

        matched = {report.assignment for report in reports}
        unmatched = {
            assignment.number: selection.why_nobody(assignment.number)
            for assignment in assignments
            if assignment.number not in matched
        }
        return SwapOutcome(still.image, tuple(reports), unmatched)

    def sequence(
        self,
        assignments: Sequence[Assignment],
        options: SwapOptions | None = None,
        *,
        surveyed: Surveyed | None = None,
        prefix: str = "p",
    ) -> SequenceSwapper:
        """Begin a video, or a segment of one.

        Who was `surveyed` keeps their id in all segments, and becomes what an assignment that names
        them says; who was not gets a name that begins with `prefix`.
        """
        people = surveyed.people if surveyed else ()
        settled = frozenset(person.person_id for person in people)
        return SequenceSwapper(
            self.tracker(surveyed, prefix),
            self.painter,
            Selection(assignments, settled),
            options or SwapOptions(),
            self.iris,
        )

    def tracker(self, surveyed: Surveyed | None = None, prefix: str = "p") -> FaceTracker:
        """Begin following people through a video without swapping them; see `sequence`."""
        known = surveyed or Surveyed()
        gallery = PeopleGallery(
            self.encoder,
            known={one.person_id: one.embedding for one in known.people},
            prefix=prefix,
            resembling={one.person_id: one.resembles for one in known.people if one.resembles},
        )
        return FaceTracker(self.finder, gallery, HUNT_S if known.hard_to_find else SWEEP_S)

    def survey(self) -> PeopleSurvey:
        """Begin to find out who is in a video from samples of it."""
        gallery = PeopleGallery(self.encoder)
        return PeopleSurvey(
            FaceTracker(self.finder, gallery, sweep_s=SURVEY_SWEEP_S, ask_every_s=0.0)
        )

    @property
    def finder(self) -> FaceFinder:
        """Detector and mesh together."""
        return FaceFinder(self.detector, self.mesh)

    def _swapper(self, weights: SpecialisedWeights) -> FaceSwapper:
        network = self.sessions.open_specialised(self.pack.graph("idn"), weights.tensors)
        return FaceSwapper(network, self.pack.manifest.swapper.size)

    def _source_eyes(self, code: IdentityCode) -> SourceEyes | None:
        """Return an identity's irises; a code made before they were kept shows them itself."""
        mesh = self.painter.texture_mesh
        if self.iris is None or code.texture is None or mesh is None or code.eyes is not None:
            return code.eyes if self.iris is not None else None

        texture = StillFrame(np.ascontiguousarray(code.texture[..., ::-1]))
        return cut_out(code.texture, self.iris.look(texture, mesh))

    def _candidate(self, still: StillFrame, person_id: str, face: MeshedFace) -> Candidate:
        return Candidate(
            person_id=person_id,
            box=face.box,
            eye_px=face.eye_px,
            embedding=lambda: self.encoder.recognise(still, face.landmarks),
            human=face.human,
        )

    def _eyes(self, still: StillFrame, face: MeshedFace) -> MovingEyes | None:
        """Return a still's eyes, judged by how far people usually open theirs."""
        if self.iris is None:
            return None
        mesh = face.landmarks
        return EyeMotion(IN_IMAGES).see(self.iris.look(still, mesh), mesh, mesh, time_s=0.0)

    def _swap_face(
        self,
        still: StillFrame,
        person_id: str,
        face: MeshedFace,
        assignment: Assignment | None,
        options: SwapOptions,
    ) -> FaceReport:
        reason = skip_reason(face, still, options) if assignment else "not_selected"
        similarity = None

        if assignment and reason is None:
            identity = assignment.identity
            eyes = self._eyes(still, face) if identity.eyes else None
            painted = self.painter.paint(still, face.landmarks, identity, options, eyes=eyes)
            still.paste(painted.face, painted.mask, painted.to_crop)

            if options.measure_similarity:
                similarity = likeness(
                    self.encoder.recognise(still, face.landmarks),
                    assignment.identity.code.embedding,
                )

        return FaceReport(
            person_id=person_id,
            box=face.box,
            eye_px=face.eye_px,
            yaw_deg=face.yaw_deg,
            score=face.score,
            opacity=float(reason is None),
            identity_key=assignment.identity.key if assignment else None,
            reason=reason,
            identity_similarity=similarity,
            assignment=assignment.number if assignment else None,
            human=face.human,
        )
