"""One image: who is chosen among its faces, painted, pasted and reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.inference.arrays import BgrImage
from models.inference.finding.eyes.eye_motion import IN_IMAGES, EyeMotion, MovingEyes
from models.inference.finding.eyes.iris_network import IrisNetwork
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.identity_encoder import IdentityEncoder, cosine_similarity
from models.inference.finding.visibility import skip_reason
from models.inference.frames.image_frame import ImageFrame
from models.inference.options import FaceReport, SwapOptions
from models.inference.painting.face_painter import FacePainter
from models.inference.swapping.selection import Assignment, Candidate, Selection, Unmatched


@dataclass(frozen=True)
class SwapOutcome:
    """A swapped copy of an image, and what happened to each face that was found, left to right.

    `unmatched` says by the number of an assignment why it chose nobody of its own.
    """

    frame: BgrImage
    faces: tuple[FaceReport, ...]
    unmatched: Mapping[int, Unmatched] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageSwapper:
    """Swaps faces that were found in single images; a video has `SequenceSwapper`.

    The two decide alike (`Selection`, `skip_reason`) and paint alike (`FacePainter`). Here is no
    time: nothing is steadied or faded, and eyes are judged by how far people usually open theirs.
    """

    painter: FacePainter
    encoder: IdentityEncoder
    iris: IrisNetwork | None

    def swap(
        self,
        frame: BgrImage,
        faces: Sequence[MeshedFace],
        assignments: Sequence[Assignment],
        options: SwapOptions | None = None,
    ) -> SwapOutcome:
        """Return a copy in which those of the `faces` that are chosen are swapped.

        Pixels outside their regions are copied. `faces` are what `FaceSwapEngine.detect`
        found, left to right; they become p1, p2, ... in the report.
        """
        options = options or SwapOptions()
        still = ImageFrame(frame.copy())
        # Left to right, as `detect` gives them: "p1" is the same person in a request made twice.
        found = {f"p{index + 1}": face for index, face in enumerate(faces)}
        selection = Selection(assignments)
        chosen = selection.choose(
            [self._candidate(still, person_id, face) for person_id, face in found.items()]
        )
        reports = [
            # Pasted one after the other: where two faces overlap, the right one lies on top.
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

    def _candidate(self, still: ImageFrame, person_id: str, face: MeshedFace) -> Candidate:
        return Candidate(
            person_id=person_id,
            box=face.box,
            eye_px=face.eye_px,
            # Asked only where a selector compares people: recognising costs as much as a pass of
            # the network.
            embedding=lambda: self.encoder.recognise(still, face.landmarks),
            human=face.human,
        )

    def _eyes(self, still: ImageFrame, face: MeshedFace) -> MovingEyes | None:
        """Return an image's eyes, judged by how far people usually open theirs."""
        if self.iris is None:
            return None
        mesh = face.landmarks
        return EyeMotion(IN_IMAGES).see(self.iris.look(still, mesh), mesh, mesh, time_s=0.0)

    def _swap_face(
        self,
        still: ImageFrame,
        person_id: str,
        face: MeshedFace,
        assignment: Assignment | None,
        options: SwapOptions,
    ) -> FaceReport:
        # Decided before anything is painted: what is skipped keeps its pixels bit by bit.
        reason = skip_reason(face, still, options) if assignment else "not_selected"
        similarity = None

        if assignment and reason is None:
            identity = assignment.identity
            eyes = self._eyes(still, face) if identity.eyes else None
            painted = self.painter.paint(still, face.landmarks, identity, options, eyes=eyes)
            still.paste(painted.face, painted.mask, painted.to_crop)

            if options.measure_similarity:
                # Read from the pasted result, not from the crop: blending is part of what is
                # measured.
                similarity = cosine_similarity(
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
