"""One run of the distillation: student, averaged student, discriminator, and what one step does."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from models.inference.texture.face_texture import CanonicalFace
from models.networks.discriminator import PatchDiscriminator
from models.networks.mesh_network import load_mesh_network
from models.networks.quality_scorer import load_quality_scorer
from models.training import losses
from models.training.batch import Batch
from models.training.committed import COMMITTED, load_iim, load_shared_heads
from models.training.dataset import CANONICAL, FaceSet
from models.training.loop import Schedule
from models.training.pairs import PairMaker
from models.training.quality import SCORER
from models.training.student import Student, TrainConfig, parameter_groups

Module = TypeVar("Module", bound=nn.Module)

GOOD_ALPHA = 0.4  # of a good teacher sample, whose weight is to be about one


class Trainer:
    """Everything a run consists of.

    `step` does one update of the student and, late, of the discriminator.
    """

    def __init__(
        self, config: TrainConfig, faces: FaceSet, graphs: Path, device: torch.device
    ) -> None:
        self.config = config
        self.device = device
        torch.manual_seed(config.seed)
        self.student = _channels_last(_beginning(config).to(device))
        self.average = copy.deepcopy(self.student).requires_grad_(False)
        self.judge = _channels_last(PatchDiscriminator(32).to(device))
        self.optimiser = torch.optim.Adam(
            parameter_groups(self.student, config), config.rate, betas=(0.5, 0.99)
        )
        # Twice as fast to forget as the student's: the judge has to follow what it judges.
        self.judge_optimiser = torch.optim.Adam(self.judge.parameters(), 4e-4, betas=(0.0, 0.99))
        self.encoder = losses.face_encoder(graphs / "encoder.onnx", faces.embedding_mean).to(device)
        self.expression = losses.Expression(load_mesh_network(graphs / "face_mesh.onnx")).to(device)
        mix = config.mix if config.uses("same") else replace(config.mix, same=0.0, self_=0.0)
        mix = mix if config.uses("relit") else replace(mix, relit=0.0)
        self.quality = load_quality_scorer(SCORER).to(device)
        self.pairs = PairMaker(faces, CanonicalFace.load(CANONICAL), mix, config.seed)
        self.steps = 0
        self.schedule = Schedule(config.images, config.minutes)

    @property
    def images_per_step(self) -> int:
        return self.config.mix.identities * self.config.mix.targets

    @property
    def progress(self) -> float:
        """Share of the schedule that is done."""
        return self.schedule.done(self.steps * self.images_per_step)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Do one update and return the unweighted loss terms, on the device: reading them waits for
        it.
        """
        batch = batch.to(self.device)
        # Set by hand: schedules of torch count steps, ours counts images.
        self._set_rate()
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            face, mask = self.student(batch)

        # The true hull mask, not the predicted one: through an L1 the net would learn to show half
        # of each.
        shown = batch.target + (face.float() - batch.target) * batch.mask
        terms = self._terms(batch, face.float(), shown, mask)
        weights = self.config.weights
        total = torch.stack([terms[name] * getattr(weights, name) for name in terms]).sum()
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        # A rare batch with a bad mesh would otherwise undo a minute of training.
        nn.utils.clip_grad_norm_(self.student.parameters(), 5.0)
        self.optimiser.step()

        if "adversarial" in terms:
            terms["judge"] = self._teach_judge(shown.detach(), batch.target)

        self.steps += 1
        self._follow()
        return {name: term.detach() for name, term in terms.items()}

    def _terms(
        self, batch: Batch, face: Tensor, shown: Tensor, mask: Tensor | None
    ) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        alpha = torch.where(batch.real > 0, self.config.weights.real, 1.0)

        if self.config.uses("encoder"):
            z_shown, features = self.encoder(shown)
            with torch.no_grad():
                # What the truth gives is the goal, not something to learn.
                z_truth, wanted = self.encoder(batch.truth)

            z_source = batch.embeddings.repeat_interleave(self.config.mix.targets, 0)
            if self.config.uses("reweighting"):
                alpha = self._alpha(batch, z_source, z_truth)

            terms["perceptual"] = (alpha * losses.perceptual(features, wanted)).mean()
            terms["identity"] = (1 - (z_shown * z_source).sum(1)).mean()

        where = batch.mask * batch.known
        error = losses.reconstruction(face, batch.truth, where, self.config.tolerance)
        terms["reconstruction"] = (alpha * error).mean()

        if mask is not None:
            terms["mask"] = losses.mask_entropy(mask.float(), batch.mask)
        if self.config.uses("expression"):
            # A real pair's photograph is its truth; a teacher's composite has the target's own
            # expression.
            photograph = torch.where(batch.real[:, None, None, None] > 0, batch.truth, batch.target)
            with torch.no_grad():
                wanted_openings = self.expression(photograph)

            terms["expression"] = (self.expression(shown) - wanted_openings).abs().mean()

        # Late: a judge that begins with noise teaches noise.
        if self.config.uses("adversarial") and self.progress >= self.config.adversarial_from:
            verdict, seen = self.judge(_patch(shown, self.steps))
            with torch.no_grad():
                _, wanted_seen = self.judge(_patch(batch.truth, self.steps))

            terms["adversarial"] = -verdict.mean()
            terms["features"] = losses.feature_matching(seen, wanted_seen)

        return terms

    @torch.no_grad()
    def _alpha(self, batch: Batch, z_source: Tensor, z_truth: Tensor) -> Tensor:
        """Return each sample's weight [n]: the paper's for teacher samples, a fixed one for
        photographs.
        """
        alpha = losses.teacher_quality(z_source, z_truth, self.quality(batch.truth)) / GOOD_ALPHA
        return torch.where(batch.real > 0, self.config.weights.real, alpha)

    def _teach_judge(self, shown: Tensor, photographs: Tensor) -> Tensor:
        real, _ = self.judge(_patch(photographs, self.steps))
        fake, _ = self.judge(_patch(shown, self.steps))
        loss = losses.discriminator_hinge(real, fake)
        self.judge_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.judge_optimiser.step()

        return loss

    def _set_rate(self) -> None:
        warm = min(1.0, (self.steps + 1) / self.config.warm_up_steps)
        rest = min(
            1.0, max(0.05, (1 - self.progress) / 0.6)
        )  # flat, then falling over the last 60 %

        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate * group["factor"] * warm * rest

    @torch.no_grad()
    def _follow(self) -> None:
        # The average follows quickly at first, when the student has little to lose.
        decay = min(self.config.ema, (1 + self.steps) / (10 + self.steps))
        for slow, fast in zip(self.average.parameters(), self.student.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)
        # Running statistics of norms are copied; they are averages already.
        for kept, newest in zip(self.average.buffers(), self.student.buffers(), strict=True):
            kept.copy_(newest)

    def state(self) -> dict[str, object]:
        parts = ("student", "average", "judge", "optimiser", "judge_optimiser")
        spent_s = self.schedule.spent_s
        return {"steps": self.steps, "spent_s": spent_s, "config": asdict(self.config)} | {
            p: getattr(self, p).state_dict() for p in parts
        }

    def resume(self, state: dict[str, object]) -> None:
        for part in ("student", "average", "judge", "optimiser", "judge_optimiser"):
            getattr(self, part).load_state_dict(state[part])
        self.steps = int(str(state["steps"]))
        self.schedule.earlier_s = float(str(state.get("spent_s", 0.0)))


def _beginning(config: TrainConfig) -> Student:
    student = Student(config)
    if config.start:
        student.iim = load_iim(COMMITTED / "iim.onnx")
        student.idn.final = load_shared_heads(COMMITTED / "idn.onnx").final.requires_grad_()
    return student


def _channels_last(module: Module) -> Module:
    """Lays the convolutions out as CPUs and GPUs like it; a third faster here."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.detach().contiguous(memory_format=torch.channels_last)
    return module


def _patch(images: Tensor, step: int, size: int = 112) -> Tensor:
    """Return the part of the crops the judge looks at in this step: a quarter of the cost of all
    of it.
    """
    rng = np.random.default_rng(step)
    left, top = (int(v) for v in rng.integers((24, 16), (88, 96)))
    return images[:, :, top : top + size, left : left + size]
