"""Distils the teacher into the open pack's IIM and IDN (docs/method.md 9): `python -m
models.training.train`.

Resumable: state is written to `var/training/runs/<run>/state.pt` every few minutes and on SIGTERM,
and batch k of a seed is always the same, so a run that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import argparse
import copy
import csv
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from models.inference.texture.face_texture import CanonicalFace
from models.networks.discriminator import PatchDiscriminator
from models.networks.mesh_network import load_mesh_network
from models.networks.quality_scorer import load_quality_scorer
from models.training import losses
from models.training.dataset import CANONICAL, FaceSet
from models.training.pairs import Batch, PairMaker
from models.training.quality import SCORER
from models.training.student import PARTS, Student, TrainConfig, parameter_groups

Module = TypeVar("Module", bound=nn.Module)

GOOD_ALPHA = 0.4  # of a good teacher sample, whose weight is to be about one


class Trainer:
    """Everything a run consists of.

    `step` does one update of the student and, late, of the discriminator.
    """

    def __init__(
        self, config: TrainConfig, faces: FaceSet, graphs: Path, device: torch.device
    ) -> None:
        self.config, self.device = config, device
        torch.manual_seed(config.seed)
        self.student = _channels_last(Student(config).to(device))
        self.average = copy.deepcopy(self.student).requires_grad_(False)
        self.judge = _channels_last(PatchDiscriminator(32).to(device))
        self.optimiser = torch.optim.Adam(
            parameter_groups(self.student, config), config.rate, betas=(0.5, 0.99)
        )
        self.judge_optimiser = torch.optim.Adam(self.judge.parameters(), 4e-4, betas=(0.0, 0.99))
        self.encoder = losses.face_encoder(graphs / "encoder.onnx", faces.embedding_mean).to(device)
        self.expression = losses.Expression(load_mesh_network(graphs / "face_mesh.onnx")).to(device)
        mix = config.mix if config.uses("same") else replace(config.mix, same=0.0, self_=0.0)
        self.quality = load_quality_scorer(SCORER).to(device)
        self.pairs = PairMaker(faces, CanonicalFace.load(CANONICAL), mix, config.seed)
        self.steps = 0

    @property
    def images_per_step(self) -> int:
        return self.config.mix.identities * self.config.mix.targets

    @property
    def progress(self) -> float:
        """Share of the schedule that is done."""
        return min(1.0, self.steps * self.images_per_step / self.config.images)

    def step(self, batch: Batch) -> dict[str, float]:
        """Does one update and returns the unweighted loss terms."""
        self._set_rate()
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            face, mask = self.student(batch)
        # The true hull mask, not the predicted one: through an L1 the net would learn to show half
        # of each.
        shown = batch.target + (face.float() - batch.target) * batch.mask
        terms = self._terms(batch, face.float(), shown, mask.float())
        weights = self.config.weights
        total = torch.stack([terms[name] * getattr(weights, name) for name in terms]).sum()
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        nn.utils.clip_grad_norm_(self.student.parameters(), 5.0)
        self.optimiser.step()
        if "adversarial" in terms:
            terms["judge"] = self._teach_judge(shown.detach(), batch.target)
        self.steps += 1
        self._follow()
        return {name: float(term.detach()) for name, term in terms.items()}

    def _terms(self, batch: Batch, face: Tensor, shown: Tensor, mask: Tensor) -> dict[str, Tensor]:
        z_shown, features = self.encoder(shown)
        with torch.no_grad():
            z_truth, wanted = self.encoder(batch.truth)
        z_source = batch.embeddings.repeat_interleave(self.config.mix.targets, 0)
        alpha = self._alpha(batch, z_source, z_truth)
        terms = {
            "reconstruction": (
                alpha * losses.reconstruction(face, batch.truth, batch.mask, self.config.tolerance)
            ).mean(),
            "perceptual": (alpha * losses.perceptual(features, wanted)).mean(),
            "identity": (1 - (z_shown * z_source).sum(1)).mean(),
            "mask": losses.mask_entropy(mask, batch.mask),
        }
        if self.config.uses("expression"):
            photograph = torch.where(batch.real[:, None, None, None] > 0, batch.truth, batch.target)
            with torch.no_grad():
                wanted_openings = self.expression(photograph)
            terms["expression"] = (self.expression(shown) - wanted_openings).abs().mean()
        if self.config.uses("adversarial") and self.progress >= self.config.adversarial_from:
            verdict, seen = self.judge(_patch(shown, self.steps))
            with torch.no_grad():
                _, wanted_seen = self.judge(_patch(batch.truth, self.steps))
            terms["adversarial"], terms["features"] = (
                -verdict.mean(),
                losses.feature_matching(seen, wanted_seen),
            )
        return terms

    @torch.no_grad()
    def _alpha(self, batch: Batch, z_source: Tensor, z_truth: Tensor) -> Tensor:
        """Return each sample's weight [n]: the paper's for teacher samples, a fixed one for
        photographs.
        """
        if not self.config.uses("reweighting"):
            return torch.where(batch.real > 0, self.config.weights.real, 1.0)
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
        decay = min(self.config.ema, (1 + self.steps) / (10 + self.steps))
        for slow, fast in zip(self.average.parameters(), self.student.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)
        for kept, newest in zip(self.average.buffers(), self.student.buffers(), strict=True):
            kept.copy_(newest)

    def state(self) -> dict[str, object]:
        parts = ("student", "average", "judge", "optimiser", "judge_optimiser")
        return {"steps": self.steps, "config": asdict(self.config)} | {
            p: getattr(self, p).state_dict() for p in parts
        }

    def resume(self, state: dict[str, object]) -> None:
        for part in ("student", "average", "judge", "optimiser", "judge_optimiser"):
            getattr(self, part).load_state_dict(state[part])
        self.steps = int(str(state["steps"]))


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


def train(config: TrainConfig, folder: Path, graphs: Path) -> None:
    """Trains until the schedule ends or SIGTERM comes.

    Writes state, the curve and a line of progress as it goes.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(config.threads)
    cv2.setNumThreads(1)
    run = folder / "runs" / config.run
    run.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config, FaceSet.load(folder / "faces"), graphs, device)
    if (run / "state.pt").exists():
        trainer.resume(torch.load(run / "state.pt", map_location=device, weights_only=True))
    with _termination() as stopped:
        _run(trainer, run, stopped)


def _run(trainer: Trainer, run: Path, stopped: list[int]) -> None:
    saved = logged = time.monotonic()
    recent: list[dict[str, float]] = []
    for batch in trainer.pairs.batches(trainer.steps):
        recent.append(trainer.step(batch.to(trainer.device)))
        finished = trainer.progress >= 1 or bool(stopped)
        if len(recent) == trainer.config.log_every:
            _report(run, trainer, recent, time.monotonic() - logged)
            logged, recent = time.monotonic(), []
        if finished or time.monotonic() - saved > trainer.config.save_every_s:
            _save(run / "state.pt", trainer)
            saved = time.monotonic()
        if finished:
            return


@contextmanager
def _termination() -> Iterator[list[int]]:
    """Collects SIGTERM while training lasts, so that the state is written first."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)


def _save(path: Path, trainer: Trainer) -> None:
    partial = path.with_suffix(".partial")
    torch.save(trainer.state(), partial)
    partial.replace(path)


def _report(run: Path, trainer: Trainer, recent: list[dict[str, float]], seconds: float) -> None:
    names = (
        "reconstruction",
        "perceptual",
        "identity",
        "mask",
        "adversarial",
        "features",
        "judge",
        "expression",
    )
    means = {
        name: float(np.mean([r[name] for r in recent if name in r] or [np.nan])) for name in names
    }
    images = trainer.steps * trainer.images_per_step
    rate = len(recent) * trainer.images_per_step / seconds
    eta_min = (trainer.config.images - images) / rate / 60
    curve = run / "curve.csv"
    new = not curve.exists()
    with curve.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["images", "images_per_s", *names])
        writer.writerow([images, f"{rate:.1f}", *(f"{value:.5f}" for value in means.values())])
    shown = " ".join(f"{name} {value:.4f}" for name, value in means.items() if value == value)
    sys.stdout.write(f"{images} images, {rate:.1f}/s, {eta_min:.0f} min left: {shown}\n")
    sys.stdout.flush()


def parse(arguments: Iterable[str] | None = None) -> tuple[TrainConfig, Path, Path]:
    """Return the run, its folder and that of the pack's graphs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default="main")
    parser.add_argument("--images", type=int, default=TrainConfig.images)
    parser.add_argument("--seed", type=int, default=TrainConfig.seed)
    parser.add_argument("--threads", type=int, default=TrainConfig.threads)
    parser.add_argument("--without", nargs="*", choices=PARTS, default=[])
    parser.add_argument(
        "--appearance", action="store_true", help="show the IIM the texture beside the embedding"
    )
    parser.add_argument("--folder", type=Path, default=Path("var/training"))
    parser.add_argument(
        "--graphs", type=Path, default=Path("var/packs/open"), help="folder of the pulled open pack"
    )
    found = parser.parse_args(None if arguments is None else list(arguments))
    run = (found.run, found.images, found.seed, found.threads)
    config = TrainConfig(*run, without=tuple(found.without), appearance=found.appearance)
    return config, found.folder, found.graphs


if __name__ == "__main__":
    train(*parse())
