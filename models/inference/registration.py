"""Photos of a person become one identity code: which photos are good enough, which do not belong,
what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.inference.arrays import BgrImage, RgbImage
from models.inference.errors import (
    LowQualityError,
    NoFaceError,
    PhotosDisagreeError,
    SeveralFacesError,
)
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.identity_encoder import (
    Encoded,
    IdentityEncoder,
    cosine_similarity,
    normalised,
)
from models.inference.frames.image_frame import ImageFrame
from models.inference.identity import IdentityCode, PhotoReport, Registration
from models.inference.painting.photo_face import PhotoReader
from models.inference.photo_check import PhotoCheck
from models.inference.safety.checks import SafetyChecks
from models.inference.texture.covering import of_all
from models.inference.texture.fusion import fuse
from models.inference.texture.light.even_light import evenly_lit, out_of_shadow
from models.inference.texture.texture_outline import cleaned, eye_zone, texture_mesh

BYSTANDER_SIZE = 0.4  # of the largest face: smaller ones are taken for background
SAME_PERSON = 0.3  # cosine between photos that may be years apart


@dataclass(frozen=True)
class PhotoCandidate:
    """One photo with the face that was found in it."""

    photo: ImageFrame
    face: MeshedFace
    report: PhotoReport


@dataclass(frozen=True)
class Registrar:
    """Makes identity codes for one pack.

    `reader` is None where the pack's network takes no texture.
    """

    pack: str
    encoder: IdentityEncoder
    reader: PhotoReader | None

    def register(self, candidates: Sequence[PhotoCandidate]) -> Registration:
        """Return the code of the person whom most photos agree on, and a report for each photo.

        Raises `LowQualityError` when no photo is good enough and `PhotosDisagreeError` when less
        than half of them show one person.
        """
        # One good photo is enough: the others are reported and left out.
        usable = [candidate for candidate in candidates if candidate.report.accepted]
        if not usable:
            reasons = "; ".join(
                f"photo {number} ({candidate.report.reason}): {candidate.report.detail}"
                for number, candidate in enumerate(candidates, 1)
            )
            raise LowQualityError(f"no photo is good enough to register: {reasons}")

        encoded = [self.encoder.register(one.photo, one.face.landmarks) for one in usable]
        agreeing = _agreeing(encoded)
        code = self._code([usable[i] for i in agreeing], [encoded[i] for i in agreeing])
        # By place, not by equality: records hold arrays, which have no single truth value.
        outliers = [usable[i] for i in range(len(usable)) if i not in agreeing]

        return Registration(
            code, tuple(_final_report(candidate, outliers) for candidate in candidates)
        )

    def _code(
        self, candidates: Sequence[PhotoCandidate], encoded: Sequence[Encoded]
    ) -> IdentityCode:
        # The mean of unit vectors, made one again: no photo counts for more.
        embedding = normalised(np.mean([one.embedding for one in encoded], axis=0))
        maps = [one.feature_map for one in encoded if one.feature_map is not None]
        feature_map = np.mean(maps, axis=0) if maps else None

        if self.reader is None:
            return IdentityCode(self.pack, embedding, feature_map)

        canonical = self.reader.canonical
        seen = [self.reader.read(one.photo, one.face.landmarks) for one in candidates]
        # Whichever shows most of the face frontally.
        best = max(seen, key=lambda face: float(face.bare.weight.sum()))
        # Of eyes that look elsewhere in each photo, one photo's are taken.
        zone = eye_zone(canonical)
        textures = [
            one.bare if one is best else replace(one.bare, weight=one.bare.weight * zone)
            for one in seen
        ]
        drawn_on = texture_mesh(canonical)
        coverings = [one.covering for one in seen if one.covering is not None]
        covering = of_all(coverings) if coverings else None
        face = np.asarray(canonical.mask / np.float32(255), np.float32)
        texture = out_of_shadow(cleaned(fuse(textures), drawn_on, covering), face, drawn_on)
        detail = canonical.detail(best.crop, best.mesh, best.texture.pixels, texture)
        landmarks = np.mean([one.template_mesh for one in seen], axis=0)

        return IdentityCode(
            pack=self.pack,
            embedding=embedding,
            feature_map=feature_map,
            texture=evenly_lit(texture, face, drawn_on),
            landmarks=landmarks,
            eyes=best.irises(),
            detail=detail,
        )


def photo_candidate(
    photo: BgrImage, faces: Sequence[MeshedFace], check: PhotoCheck
) -> PhotoCandidate:
    """Return a photo with its one face, judged. Raises `NoFaceError` or `SeveralFacesError`."""
    if not faces:
        raise NoFaceError("no face was found in a photo")

    largest = max(faces, key=lambda face: face.eye_px)
    if any(face is not largest and face.eye_px > BYSTANDER_SIZE * largest.eye_px for face in faces):
        raise SeveralFacesError(
            "a photo shows more than one face; crop it to the person to register"
        )

    frame = ImageFrame(photo)
    return PhotoCandidate(frame, largest, check.judge(frame, largest))


def _agreeing(encoded: Sequence[Encoded]) -> list[int]:
    """Return the photos of the person seen most often: those like the photo that most others are
    like.
    """
    alike = (
        np.array([[cosine_similarity(a.embedding, b.embedding) for b in encoded] for a in encoded])
        > SAME_PERSON
    )
    best = alike[int(alike.sum(axis=1).argmax())]

    # A majority, or nobody can say who is meant.
    if best.sum() * 2 <= len(encoded):
        raise PhotosDisagreeError("the photos do not show the same person")

    return [int(index) for index in np.flatnonzero(best)]


def _final_report(candidate: PhotoCandidate, outliers: Sequence[PhotoCandidate]) -> PhotoReport:
    if not any(candidate is outlier for outlier in outliers):
        return candidate.report
    detail = "the photo shows someone else than most of the others"
    return replace(candidate.report, accepted=False, reason="someone_else", detail=detail)


def examined(
    registration: Registration,
    candidates: Sequence[PhotoCandidate],
    safety: SafetyChecks,
    encoder: IdentityEncoder,
) -> Registration:
    """Return the registration with what the checks see.

    Nudity is looked for in every photo that was sent, the age only in those that were used.
    """
    scores: list[float] = []
    chips: list[RgbImage] = []

    for candidate, report in zip(candidates, registration.photos, strict=True):
        scores += safety.nudity_scores(candidate.photo, [candidate.face.box])
        # A photo that is refused may show anybody.
        if report.accepted:
            chips.append(encoder.chip(candidate.photo, candidate.face.landmarks))

    age = safety.apparent_age(chips)
    return replace(registration, nudity=tuple(scores), age=age)
