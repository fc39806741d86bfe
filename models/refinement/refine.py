"""Refinement: the 18 tensors of one identity, trained on for minutes on a bank of composite
faces (docs/method.md 9).

The teacher is the identity's own texture; the heads stay the pack's, for all identities share them.
Needs torch, but no data about anyone else. `Refiner.refine` is bounded in wall clock and may be
stopped at any step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from models.inference.finding.face_mesh import FaceMesh
from models.inference.identity import IdentityCode, SpecialisedWeights
from models.inference.session import SessionFactory
from models.inference.texture.face_texture import CanonicalFace
from models.networks.idn import IDN
from models.networks.mesh_network import load_mesh_network
from models.packs.store import Pack
from models.refinement.batches import Batch, BatchMaker, source_of
from models.refinement.target_bank import TargetBank
from models.training import losses
from models.training.committed import load_shared_heads

Watch = Callable[[float], None]
"""Told the share of the budget that is spent, 0..1; whatever it raises ends the refinement."""


@dataclass(frozen=True)
class RefineConfig:
    """How one identity is refined: for `steps`, or as many as `seconds` of wall clock allow.

    240 s of two cores that have nothing else to do are about 300 steps; measuring takes a few
    seconds more.
    """

    # A bound for fast machines; on two cores the clock ends it at about half of this.
    steps: int = 600
    seconds: float = 240.0
    threads: int = 2
    # What two cores do in some 0.8 s.
    batch: int = 8
    # Half of the pack's own training rate: what is trained starts close to its end.
    rate: float = 1e-3
    warm_up_steps: int = 20
    seed: int = 0
    # High frequencies count as much as the image itself does, or the result is soft.
    detail: float = 30.0
    # From the target's own identity, which the surroundings of the face pull towards.
    repel_target: float = 5.0
    # Twice the pack's own training: identity is what refining is for.
    weights: losses.Weights = field(default_factory=lambda: losses.Weights(identity=6.0))


@dataclass(frozen=True)
class Scores:
    """How good an identity's swaps of the held-back faces are.

    `similarity` is their mean cosine with the identity's embedding, by the pack's encoder;
    `sharpness` the detail (magnitude of what a 3 px box blur takes away) in the face, as a share of
    what the identity's texture has.
    """

    similarity: float
    sharpness: float


@dataclass(frozen=True)
class Refined:
    """The refined tensors and what they are worth.

    `steps` is 0 where the tensors given were the better ones.
    """

    weights: SpecialisedWeights
    before: Scores
    after: Scores
    steps: int
    seconds: float


@dataclass(frozen=True)
class Refiner:
    """What refining needs of a pack, loaded once: fixed heads, encoder, expression, canonical face,
    bank of targets.
    """

    idn: IDN
    encoder: losses.FaceEncoder
    expression: losses.Expression
    canonical: CanonicalFace
    bank: TargetBank

    @classmethod
    def load(cls, pack: Pack) -> Refiner:
        """Load the networks of a texture-guided pack and find the bank's meshes: about ten
        seconds.
        """
        mesh = FaceMesh(SessionFactory("cpu", 1).open(pack.graph("face_mesh")))
        # Channels last is the layout that the CPU's convolutions work in.
        idn = load_shared_heads(pack.graph("idn")).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        encoder = losses.face_encoder(pack.graph("encoder"), pack.embedding_mean())
        expression = losses.Expression(load_mesh_network(pack.graph("face_mesh")))

        return cls(
            idn, encoder, expression, CanonicalFace.load(pack.canonical), TargetBank.load(mesh)
        )

    def refine(
        self,
        code: IdentityCode,
        weights: SpecialisedWeights,
        config: RefineConfig | None = None,
        watch: Watch = lambda _share: None,
    ) -> Refined:
        """Train an identity's tensors for `config.seconds`; worse ones than given are dropped.

        Raises:
            BadIdentityError: the code carries no texture.
            Anything that `watch` raises.
        """
        config = config or RefineConfig()
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        batches = BatchMaker(self.canonical, self.bank, source_of(code))
        held_back = batches.held_back()
        wanted = torch.from_numpy(code.embedding)
        tensors = {
            name: torch.from_numpy(value.copy()).requires_grad_()
            for name, value in weights.tensors.items()
        }
        before = self._scores(held_back, tensors, wanted)
        started = time.monotonic()
        steps = self._optimise(batches, wanted, tensors, config, watch)
        after = self._scores(held_back, tensors, wanted)

        # The clock may end a refinement before it has gained anything: then nothing is changed.
        if after.similarity < before.similarity:
            return Refined(
                weights,
                before=before,
                after=before,
                steps=0,
                seconds=time.monotonic() - started,
            )

        refined = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
        return Refined(
            weights=SpecialisedWeights(refined),
            before=before,
            after=after,
            steps=steps,
            seconds=time.monotonic() - started,
        )

    def _optimise(
        self,
        batches: BatchMaker,
        wanted: Tensor,
        tensors: dict[str, Tensor],
        config: RefineConfig,
        watch: Watch,
    ) -> int:
        # Adam forgets its first moment quickly (0.5): steps are few, and each batch is different.
        optimiser = torch.optim.Adam(tensors.values(), config.rate, betas=(0.5, 0.99))
        started = time.monotonic()

        for step, batch in enumerate(batches.endless(config.batch, config.seed)):
            share = max(step / config.steps, (time.monotonic() - started) / config.seconds)
            watch(min(share, 1.0))

            if share >= 1:
                return step

            # Flat, then falling to zero: the last steps only settle.
            rate = min(1.0, (step + 1) / config.warm_up_steps, (1 - share) / 0.6)
            optimiser.param_groups[0]["lr"] = config.rate * rate
            optimiser.zero_grad(set_to_none=True)
            self._loss(batch, tensors, wanted, config).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

        raise AssertionError("batches never end")

    def _loss(
        self, batch: Batch, tensors: dict[str, Tensor], wanted: Tensor, config: RefineConfig
    ) -> Tensor:
        face, shown = self._swap(batch, tensors)
        # Who it is may change light and shade, not hues: an encoder is easily pleased with stains
        # of colour.
        embedding, features = self.encoder(batch.truth + _luma(shown) - _luma(batch.truth))

        with torch.no_grad():
            _, taught = self.encoder(batch.truth)
            theirs, _ = self.encoder(batch.target)
            open_by = self.expression(batch.target)

        weights = config.weights
        loss: Tensor = (
            weights.reconstruction * losses.reconstruction(face, batch.truth, batch.mask).mean()
            + weights.perceptual * losses.perceptual(features, taught).mean()
            + weights.identity * (1 - embedding @ wanted).mean()
            + config.repel_target * F.relu((embedding * theirs).sum(1)).mean()
            + weights.expression * (self.expression(shown) - open_by).abs().mean()
            + config.detail
            * losses.reconstruction(_detail(face), _detail(batch.truth), batch.mask).mean()
        )
        return loss

    def _swap(self, batch: Batch, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return face and composite."""
        face, _ = self.idn(batch.target, tensors, batch.texture)
        return face, batch.target + (face - batch.target) * batch.mask

    @torch.no_grad()
    def _scores(self, batch: Batch, tensors: dict[str, Tensor], wanted: Tensor) -> Scores:
        _, shown = self._swap(batch, tensors)
        embedding, _ = self.encoder(shown)
        # Where the face shows for certain; the soft rim belongs to the target.
        inside = (batch.mask > 0.9).float()
        ours, given = ((_detail(image).abs() * inside).sum() for image in (shown, batch.texture))
        return Scores(float((embedding @ wanted).mean()), float(ours / given))


def _luma(image: Tensor) -> Tensor:
    return image.mean(1, keepdim=True)


def _detail(image: Tensor) -> Tensor:
    return image - F.avg_pool2d(image, 3, 1, 1)
