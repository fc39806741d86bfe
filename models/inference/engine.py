"""The engine: photos become an identity once; images and video frames are swapped many times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from models.inference.arrays import BgrImage
from models.inference.counters import Counters
from models.inference.errors import FaceNotFoundError
from models.inference.finding.eyes.iris_network import IrisNetwork
from models.inference.finding.face_detector import FaceDetector
from models.inference.finding.face_finder import FaceFinder
from models.inference.finding.face_mesh import FaceMesh, MeshedFace
from models.inference.finding.face_parts import FaceParts
from models.inference.finding.face_tracker import HUNT_S, SURVEY_SWEEP_S, SWEEP_S, FaceTracker
from models.inference.finding.identity_encoder import IdentityEncoder
from models.inference.finding.people import PeopleGallery
from models.inference.finding.survey.people_survey import PeopleSurvey
from models.inference.finding.survey.surveyed import Surveyed
from models.inference.frames.image_frame import ImageFrame
from models.inference.identity import IdentityCode, Registration, SpecialisedWeights
from models.inference.options import SwapOptions
from models.inference.pack_networks import PackNetworks
from models.inference.painting.face_painter import FacePainter, Identity
from models.inference.painting.face_swapper import FaceSwapper, open_swapper
from models.inference.painting.weight_generator import WeightGenerator
from models.inference.photo_check import PhotoCheck
from models.inference.ready_identities import ReadyIdentities, source_eyes
from models.inference.registration import Registrar, examined, photo_candidate
from models.inference.runtime import Device
from models.inference.safety.checks import SafetyChecks
from models.inference.session import SessionFactory
from models.inference.swapping.image_swapper import ImageSwapper, SwapOutcome
from models.inference.swapping.selection import Assignment, Selection
from models.inference.swapping.sequence_swapper import SequenceSwapper

if TYPE_CHECKING:
    from models.packs.store import Pack


@dataclass
class FaceSwapEngine:
    """All models of one pack on one device, for one thread at a time.

    Only `forget` may be called from another. `video_mesh`, which follows faces to be swapped, sees
    their lips closely (docs/method.md 9).
    """

    pack: Pack
    sessions: SessionFactory
    detector: FaceDetector
    mesh: FaceMesh
    video_mesh: FaceMesh
    iris: IrisNetwork | None
    encoder: IdentityEncoder
    generator: WeightGenerator
    painter: FacePainter
    max_sessions: int
    counters: Counters
    safety: SafetyChecks | None = None
    _ready: ReadyIdentities = field(init=False)

    def __post_init__(self) -> None:
        self._ready = ReadyIdentities(self.max_sessions)

    @classmethod
    def load(
        cls,
        pack: Pack,
        *,
        device: Device = "auto",
        threads: int = 1,
        # As many as one job may name; their sessions hold some 40 MB.
        max_sessions: int = 16,
        nudity_check: bool = False,
        age_check: bool = False,
    ) -> FaceSwapEngine:
        """Load a pack's models; at most `max_sessions` identities are kept ready.

        Raises `DeviceUnavailableError` when CUDA is asked for and cannot be had, and the pack's own
        errors when a file of it is missing.
        """
        from_pack = PackNetworks(pack, SessionFactory(device, threads), Counters())
        mesh = from_pack.mesh()
        engine = cls(
            pack=pack,
            sessions=from_pack.sessions,
            detector=from_pack.detector(),
            mesh=mesh,
            video_mesh=replace(mesh, lips=from_pack.lips()),
            iris=from_pack.iris(),
            encoder=from_pack.encoder(),
            generator=from_pack.generator(),
            painter=from_pack.painter(),
            max_sessions=max_sessions,
            counters=from_pack.counters,
            safety=from_pack.safety(nudity=nudity_check, age=age_check),
        )

        # Detector (two networks), mesh, encoder and weight generator; the rest is optional.
        optional = sum(pack.has(role) for role in ("lips", "iris", "cover"))
        engine.counters.models_loaded += 5 + optional
        return engine

    @property
    def provider(self) -> str:
        """What makes the images: OpenVINO, or an execution provider as ONNX Runtime names it."""
        return self.sessions.provider

    def register(self, photos: Sequence[BgrImage]) -> Registration:
        """Turn one to eight photos of one person into an identity code.

        Raises `NoFaceError`, `SeveralFacesError`, `LowQualityError` when no photo is good enough,
        and `PhotosDisagreeError` when they show different people.
        """
        check = PhotoCheck(FaceParts.load())
        candidates = [photo_candidate(photo, self.detect(photo), check) for photo in photos]
        registrar = Registrar(self.pack.id, self.encoder, self.painter.photo_reader(self.iris))
        registration = registrar.register(candidates)

        if self.safety is None:
            return registration

        return examined(registration, candidates, self.safety, self.encoder)

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
        eyes = source_eyes(code, mesh, self.iris)
        made = Identity(key, code, self._swapper(weights), mesh, eyes)
        self.counters.sessions_created += 1

        self._ready.put(made)
        return made

    def ready(self, key: str) -> Identity | None:
        """Return the identity that is held under `key`, if one is."""
        return self._ready.get(key)

    def forget(self, key: str) -> None:
        """Drop an identity's session and texture, if they are held.

        Any thread may ask, also during a swap.
        """
        self._ready.drop(key)

    def detect(self, image: BgrImage, *, largest_only: bool = False) -> list[MeshedFace]:
        """Find the faces of an image, left to right, down to 20 px between the eyes and whichever
        way up; with `largest_only` small ones only where nobody is large.
        """
        finder = FaceFinder(self.detector, self.mesh)
        return finder.find_all(ImageFrame(image), largest_only=largest_only)

    def swap_frame(
        self, frame: BgrImage, assignments: Sequence[Assignment], options: SwapOptions | None = None
    ) -> SwapOutcome:
        """Swap an image; pixels outside the faces' regions are copied.

        Raises `FaceNotFoundError` when no face is found or none is chosen.
        """
        # A single image either shows the swap that was asked for, or the caller gets a reason.
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
        """Swap those of the `faces` that are chosen; `detect` found them in this very image."""
        swapper = ImageSwapper(self.painter, self.encoder, self.iris)
        return swapper.swap(frame, faces, assignments, options)

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
        # Faces that the survey found hard to see are looked for more often.
        finder = FaceFinder(self.detector, self.video_mesh)
        return FaceTracker(finder, gallery, HUNT_S if known.hard_to_find else SWEEP_S)

    def survey(self) -> PeopleSurvey:
        """Begin to find out who is in a video from samples of it."""
        finder = FaceFinder(self.detector, self.mesh)
        gallery = PeopleGallery(self.encoder)
        return PeopleSurvey(FaceTracker(finder, gallery, sweep_s=SURVEY_SWEEP_S, ask_every_s=0.0))

    def _swapper(self, weights: SpecialisedWeights) -> FaceSwapper:
        size = self.pack.manifest.swapper.size
        return open_swapper(self.sessions, self.pack.graph("idn"), weights.tensors, size)
