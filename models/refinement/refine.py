"""Refinement: the 18 tensors of one identity, polished on a bank of composite faces (docs/method.md
9).

The teacher is the identity's own texture; the heads stay the pack's, for all identities share them.
Needs torch, but no data about anyone else. `Refiner.refine` is bounded in wall clock and may be
stopped at any step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.inference.errors import BadIdentityError
from models.inference.finding.face_mesh import FaceMesh
from models.inference.identity import IdentityCode, SpecialisedWeights
from models.inference.session import SessionFactory
from models.inference.texture.face_texture import CanonicalFace
from models.networks.idn import IDN
from models.networks.mesh_network import load_mesh_network
from models.packs.store import Pack
from models.refinement.target_bank import Target, TargetBank
from models.training import losses
from models.training.committed import load_shared_heads
from models.training.loop import prefetched
from models.training.pairs import as_tensor
from models.training.teacher import Source, teach

Watch = Callable[[float], None]
"""Told the share of the budget that is spent, 0..1; whatever it raises ends the refinement."""

HELD_BACK = 24  # faces of the bank that only judge before and after


@dataclass(frozen=True)
class RefineConfig:
    """How one identity is polished: for `steps`, or as many as `seconds` of wall clock allow.

    240 s of two cores that have nothing else to do are about 300 steps; measuring takes a few
    seconds more.
    """

    steps: int = 600
    seconds: float = 240.0
    threads: int = 2
    batch: int = 8
    rate: float = 1e-3
    warm_up_steps: int = 20
    seed: int = 0
    detail: float = 30.0
    away: float = (
        5.0  # from the target's own identity, which the surroundings of the face pull towards
    )
    weights: losses.Weights = field(default_factory=lambda: losses.Weights(identity=6.0))


@dataclass(frozen=True)
class Standing:
    """How good an identity's swaps of the held-back faces are.

    `similarity` is their mean cosine with the identity's embedding, by the pack's encoder;
    `sharpness` the detail (magnitude of what a 3 px box blur takes away) in the face, as a share of
    what the identity's texture has.
    """

    similarity: float
    sharpness: float


@dataclass(frozen=True)
class Refined:
    """The polished tensors and what they are worth.

    `steps` is 0 where the tensors given were the better ones.
    """

    weights: SpecialisedWeights
    before: Standing
    after: Standing
    steps: int
    seconds: float


@dataclass(frozen=True)
class Lesson:
    """Targets and what they should become: RGB float32 [n, 3, 224, 224] in 0..1.

    Mask [n, 1, 224, 224].
    """

    target: Tensor
    texture: Tensor
    truth: Tensor
    mask: Tensor


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
        """Polish an identity's tensors for `config.seconds`; never returns worse ones than it was
        given.

        Raises:
            BadIdentityError: the code carries no texture.
            Anything that `watch` raises.
        """
        config = config or RefineConfig()
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        source = _source(code)
        wanted = torch.from_numpy(code.embedding)
        held_back = self._lesson(source, [self.bank.target(index) for index in range(HELD_BACK)])
        tensors = {
            name: torch.from_numpy(value.copy()).requires_grad_()
            for name, value in weights.tensors.items()
        }
        before = self._standing(held_back, tensors, wanted)
        started = time.monotonic()
        steps = self._polish(source, wanted, tensors, config, watch)
        after = self._standing(held_back, tensors, wanted)

        if after.similarity < before.similarity:
            return Refined(weights, before, before, 0, time.monotonic() - started)

        polished = SpecialisedWeights(
            {name: tensor.detach().numpy() for name, tensor in tensors.items()}
        )
        return Refined(polished, before, after, steps, time.monotonic() - started)

    def _polish(
        self,
        source: Source,
        wanted: Tensor,
        tensors: dict[str, Tensor],
        config: RefineConfig,
        watch: Watch,
    ) -> int:
        optimiser = torch.optim.Adam(tensors.values(), config.rate, betas=(0.5, 0.99))
        started = time.monotonic()

        for step, lesson in enumerate(self._lessons(source, config)):
            share = max(step / config.steps, (time.monotonic() - started) / config.seconds)
            watch(min(share, 1.0))

            if share >= 1:
                return step

            # Flat, then falling to zero: the last steps only settle.
            rate = min(1.0, (step + 1) / config.warm_up_steps, (1 - share) / 0.6)
            optimiser.param_groups[0]["lr"] = config.rate * rate
            optimiser.zero_grad(set_to_none=True)
            self._loss(lesson, tensors, wanted, config).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

        raise AssertionError("lessons never end")

    def _loss(
        self, lesson: Lesson, tensors: dict[str, Tensor], wanted: Tensor, config: RefineConfig
    ) -> Tensor:
        face, shown = self._swap(lesson, tensors)
        # Who it is may change light and shade, not hues: an encoder is easily pleased with stains
        # of colour.
        embedding, features = self.encoder(lesson.truth + _luma(shown) - _luma(lesson.truth))

        with torch.no_grad():
            _, taught = self.encoder(lesson.truth)
            theirs, _ = self.encoder(lesson.target)
            open_by = self.expression(lesson.target)

        weights = config.weights
        loss: Tensor = (
            weights.reconstruction * losses.reconstruction(face, lesson.truth, lesson.mask).mean()
            + weights.perceptual * losses.perceptual(features, taught).mean()
            + weights.identity * (1 - embedding @ wanted).mean()
            + config.away * F.relu((embedding * theirs).sum(1)).mean()
            + weights.expression * (self.expression(shown) - open_by).abs().mean()
            + config.detail
            * losses.reconstruction(_detail(face), _detail(lesson.truth), lesson.mask).mean()
        )
        return loss

    def _swap(self, lesson: Lesson, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return face and composite."""
        face, _ = self.idn(lesson.target, tensors, lesson.texture)
        return face, lesson.target + (face - lesson.target) * lesson.mask

    @torch.no_grad()
    def _standing(self, lesson: Lesson, tensors: dict[str, Tensor], wanted: Tensor) -> Standing:
        _, shown = self._swap(lesson, tensors)
        embedding, _ = self.encoder(shown)
        inside = (lesson.mask > 0.9).float()
        ours, given = ((_detail(image).abs() * inside).sum() for image in (shown, lesson.texture))
        return Standing(float((embedding @ wanted).mean()), float(ours / given))

    def _lessons(self, source: Source, config: RefineConfig) -> Iterator[Lesson]:
        """Return lessons without end, each prepared while the one before is learnt."""

        def prepare(step: int) -> Lesson:
            rng = np.random.default_rng((config.seed, step))
            return self._lesson(
                source, [self.bank.draw(rng, HELD_BACK) for _ in range(config.batch)]
            )

        return prefetched(prepare)

    def _lesson(self, source: Source, targets: list[Target]) -> Lesson:
        taught = [teach(self.canonical, source, target.crop, target.mesh) for target in targets]
        return Lesson(
            target=as_tensor([target.crop for target in targets]),
            texture=as_tensor([placed.texture for _, placed in taught]),
            truth=as_tensor([swap for swap, _ in taught]),
            mask=torch.from_numpy(
                np.stack([placed.mask for _, placed in taught])[:, None].astype(np.float32)
            ),
        )


def _source(code: IdentityCode) -> Source:
    if code.texture is None or code.landmarks is None:
        raise BadIdentityError("only identities with a texture can be refined")
    return Source(code.texture, code.landmarks)


def _luma(image: Tensor) -> Tensor:
    return image.mean(1, keepdim=True)


def _detail(image: Tensor) -> Tensor:
    return image - F.avg_pool2d(image, 3, 1, 1)
