"""Use case: train an identity's weights further in the background, and replace the derived ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from models.inference.identity import IdentityCode, SpecialisedWeights
from models.inference.painting.weight_generator import WeightGenerator
from models.inference.session import SessionFactory
from models.packs.store import Pack
from worker.contract.requests import JobKind
from worker.errors import IdentityErased, JobFailure, UnknownIdentity
from worker.failures import FailureCode
from worker.job_context import JobContext, Outcome, UseCase

if TYPE_CHECKING:
    from models.refinement.refine import Refined, Refiner

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RefineBudget:
    """What one refinement may take: steps, or the seconds of wall clock that end them sooner, and
    cores.
    """

    seconds: float = 240.0
    threads: int = 2
    # Whichever comes first ends it; the seconds are what an operator sets.
    steps: int = 600


class RefineIdentity:
    """The use case `refine`.

    Its networks and its bank of faces are loaded by the first job, for few are refined.
    """

    def __init__(self, pack: Pack, budget: RefineBudget) -> None:
        self.pack = pack
        self._budget = budget

    def __call__(self, context: JobContext) -> Outcome:
        """No file: the identity's weights are replaced, and its record and the report tell before
        and after.

        Raises:
            JobFailure: `identity_erased`, `refinement_unavailable`.
            Canceled, Superseded: the identity stays as it was.
        """
        # The API admits such jobs itself, with exactly one.
        (identity_id,) = context.job.payload.identities()
        context.progress(0, 100, "percent")

        try:
            refined = self._refine(context, identity_id)
            context.progress(100, 100, "percent")
            figures = _figures(context.job.id, refined)
            context.identities.put_refined(
                identity_id, self.pack.id, refined.weights.to_bytes(), figures
            )
        except (IdentityErased, UnknownIdentity) as error:
            raise JobFailure(FailureCode.IDENTITY_ERASED, "The identity was erased.") from error

        log.info("identity refined", extra={"identity": identity_id, "steps": refined.steps})
        return Outcome(None, report={"refinement": figures})

    def _refine(self, context: JobContext, identity_id: str) -> Refined:
        # First, because it raises where torch is missing: no photo's code is read for nothing.
        refiner = self._refiner
        from models.refinement.refine import RefineConfig

        code = IdentityCode.from_bytes(context.identities.code(identity_id))
        weights = context.identities.weights_or_build(identity_id, self.pack.id, self._derive)
        return refiner.refine(
            code,
            SpecialisedWeights.from_bytes(weights),
            RefineConfig(self._budget.steps, self._budget.seconds, self._budget.threads),
            # 99 at most: 100 is said once the weights are kept.
            watch=lambda share: context.progress(min(99, int(share * 100)), 100, "percent"),
        )

    @cached_property
    def _refiner(self) -> Refiner:
        try:
            from models.refinement.refine import Refiner
        except ModuleNotFoundError as error:
            raise JobFailure(
                FailureCode.REFINEMENT_UNAVAILABLE,
                "This worker has no torch, which refinement needs.",
            ) from error

        # Refinement trains the open pack's network, whose generator takes six inputs.
        if self.pack.manifest.swapper.inputs != 6:
            raise JobFailure(
                FailureCode.REFINEMENT_UNAVAILABLE,
                f"Identities of the pack {self.pack.name} cannot be refined.",
            )

        return Refiner.load(self.pack)

    def _derive(self, code: bytes) -> bytes:
        return self._generator.generate(IdentityCode.from_bytes(code)).to_bytes()

    @cached_property
    def _generator(self) -> WeightGenerator:
        return WeightGenerator(SessionFactory("cpu", 1).open(self.pack.graph("iim")))


class RefineUseCases:
    """What a child on the queue `refine` can do: this one thing, without an engine."""

    def __init__(self, refine: RefineIdentity) -> None:
        self._refine = refine

    @property
    def pack(self) -> str:
        """The id of the pack whose identities are refined."""
        return self._refine.pack.id

    def find(self, kind: JobKind) -> UseCase:  # noqa: ARG002 - the interface of a child
        """Return the use case, whatever the kind: the queue carries no other."""
        return self._refine

    def counters(self) -> Mapping[str, int]:
        """Return nothing: no engine runs here."""
        return {}

    def forget(self, identity_id: str) -> None:
        """Do nothing: no identity is held between jobs."""


def _figures(job_id: str, refined: Refined) -> dict[str, Any]:
    """Return what the identity's record keeps.

    Similarity is a cosine, sharpness a share of the photo's own detail.
    """
    before, after = (
        {name: round(value, 3) for name, value in asdict(s).items()}
        for s in (refined.before, refined.after)
    )
    return {
        "job_id": job_id,
        "status": "succeeded",
        "before": before,
        "after": after,
        "steps": refined.steps,
        "seconds": round(refined.seconds, 1),
    }
