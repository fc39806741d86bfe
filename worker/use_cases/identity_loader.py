"""Resolves the assignments of a job to identities that are loaded on an engine, with as little work
as the caches allow.
"""

from __future__ import annotations

from models.inference import options as engine_options
from models.inference.engine import FaceSwapEngine
from models.inference.errors import BadIdentityError
from models.inference.identity import IdentityCode, SpecialisedWeights
from models.inference.options import FaceSelector
from models.inference.painting.face_painter import Identity
from models.inference.swapping import selection
from worker.contract import options as contract
from worker.contract.options import BoxSelector, IndexSelector, PersonSelector
from worker.contract.requests import JobPayload
from worker.errors import IdentityErased, JobFailure, UnknownIdentity
from worker.failures import FailureCode
from worker.job_context import Identities


class IdentityLoader:
    """Loads a job's identities on one engine: those it holds, else by their stored weights, else by
    weights built from the code.
    """

    def __init__(self, engine: FaceSwapEngine) -> None:
        self._engine = engine

    def assignments(
        self, payload: JobPayload, identities: Identities
    ) -> list[selection.Assignment]:
        """Return the payload's assignments for the engine.

        Raises:
            JobFailure: `identity_erased`; `bad_identity` for one that was registered with another
            pack.
        """
        try:
            return [
                self._assignment(number, assignment, identities)
                for number, assignment in enumerate(payload.assignments)
            ]
        # An erasure that comes between admission and here ends the job in plain words.
        except (IdentityErased, UnknownIdentity) as error:
            raise JobFailure(
                FailureCode.IDENTITY_ERASED, "An identity of this job was erased."
            ) from error
        except BadIdentityError as error:
            raise JobFailure(FailureCode.BAD_IDENTITY, error.message) from error

    def stored(
        self, identity_id: str, identities: Identities
    ) -> tuple[IdentityCode, SpecialisedWeights]:
        """Return an identity's code and weights; raises as `assignments` does."""
        try:
            code = self._code(identity_id, identities)
            weights = identities.weights_or_build(identity_id, self._engine.pack.id, self._build)
            return code, SpecialisedWeights.from_bytes(weights)
        except (IdentityErased, UnknownIdentity) as error:
            raise JobFailure(
                FailureCode.IDENTITY_ERASED, "The identity of this job was erased."
            ) from error
        except BadIdentityError as error:
            raise JobFailure(FailureCode.BAD_IDENTITY, error.message) from error

    def forget(self, identity_id: str) -> None:
        """Drop what the engine holds of an identity."""
        # Both may be held: the identity may have been refined while the engine knew it.
        for quality in ("instant", "refined"):
            self._engine.forget(_key(identity_id, quality))

    def _assignment(
        self, number: int, assignment: contract.Assignment, identities: Identities
    ) -> selection.Assignment:
        selector = self._selector(assignment.face, identities)
        identity = self._identity(assignment.identity_id, identities)
        return selection.Assignment(selector, identity, number)

    def _identity(self, identity_id: str, identities: Identities) -> Identity:
        # The parent is asked each time, so that a job begun after a refinement uses it.
        key = _key(identity_id, identities.quality(identity_id))
        # Held ones cost nothing; the store's cost a read of 800 KB; a rebuild costs a network's
        # pass.
        return self._engine.ready(key) or self._fetch(key, identity_id, identities)

    def _fetch(self, key: str, identity_id: str, identities: Identities) -> Identity:
        code = self._code(identity_id, identities)
        weights = identities.weights_or_build(identity_id, self._engine.pack.id, self._build)
        return self._engine.identity(key, code, SpecialisedWeights.from_bytes(weights))

    def _build(self, code: bytes) -> bytes:
        return self._engine.specialise(IdentityCode.from_bytes(code)).to_bytes()

    def _selector(self, face: contract.FaceSelector, identities: Identities) -> FaceSelector:
        match face:
            case "largest" | "all":
                return FaceSelector(face)
            case PersonSelector():
                return FaceSelector("person", person_id=face.person_id)
            case IndexSelector():
                return FaceSelector("index", index=face.index)
            # The API gives a corner and sizes, the engine two corners.
            case BoxSelector(box=(x, y, width, height)):
                return FaceSelector("box", box=(x, y, x + width, y + height))

        return FaceSelector("reference", reference=self._code(face.reference, identities).embedding)

    def _code(self, identity_id: str, identities: Identities) -> IdentityCode:
        code = IdentityCode.from_bytes(identities.code(identity_id))
        if (
            code.pack.partition("@")[0] != self._engine.pack.name
        ):  # its numbers would mean something else here
            raise BadIdentityError(
                f"An identity of this job was registered with {code.pack}; register it again."
            )

        return code


def swap_options(
    options: contract.SwapOptions, *, measure_similarity: bool = False
) -> engine_options.SwapOptions:
    """Return the payload's options as the engine takes them."""
    return engine_options.SwapOptions(
        blend=options.blend,
        mask_feather=options.mask.feather,
        mask_erode=options.mask.erode,
        preserve=options.preserve,
        colour_match=options.colour_match,
        smoothing=options.smoothing,
        min_face_px=options.min_face_px,
        max_yaw_deg=options.max_yaw_deg,
        measure_similarity=measure_similarity,
    )


def _key(identity_id: str, quality: str) -> str:
    return f"{identity_id}:{quality}"  # refining an identity changes its weights
