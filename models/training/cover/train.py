"""Trains the cover network: `python -m models.training.cover.train`, or `make train-cover`.

Resumable: state is written to `var/training/cover/<run>.pt` every few minutes and on SIGTERM, and
batch k of a seed is always the same.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.cover_net import CoverNet
from models.training.cover import material
from models.training.cover.samples import Batch, SampleMaker
from models.training.loop import Schedule, add_arguments, prefetched, run, workers_for

# As many samples as the maker's thread draws while one step runs.
BATCH = 32
RATE = 4e-3
LAST_RATE = 2e-5
WARM_UP_STEPS = 100
DECAY = 1e-3
OFF_FACE = 0.02  # weight beside the face, where nothing is shown but features must not run wild
OVERLAP = 0.3  # of the overlap term: thin fingers count as much as a whole sheet of paper
OVERLAP_FLOOR_PX = 30.0  # below this many pixels the overlap term does not judge
# Four minutes are lost at the most.
SAVE_EVERY_S = 240.0
LOG_EVERY = 100


@dataclass(frozen=True)
class CoverConfig:
    """One run of `images` images, or of `minutes` where that is not 0; `start` is the run whose
    weights it begins with.
    """

    run: str = "cover"
    images: int = 240_000
    minutes: float = 0.0
    seed: int = 1
    start: str = ""
    rate: float = RATE  # the highest; a quarter of it for weights that are nearly good
    batch: int = BATCH
    workers: int = 0  # processes that make batches; 0: a thread of this one


class CoverTrainer:
    """Network, optimiser and schedule of a run; `step` does one update."""

    def __init__(self, config: CoverConfig, device: torch.device | None = None) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.device = device or torch.device("cpu")
        self.network = CoverNet().to(self.device)
        self.schedule = Schedule(config.images, config.minutes)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), config.rate, weight_decay=DECAY
        )
        self.steps = 0

    @property
    def progress(self) -> float:
        """Share of the schedule that is done."""
        return self.schedule.done(self.steps * self.config.batch)

    def step(self, batch: Batch) -> Tensor:
        """Do one update and return the loss, on the device: reading it waits for it."""
        batch = batch.to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()

        loss = cover_loss(self.network(batch.x), batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        # A rare batch of large errors must not throw the network off.
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.steps += 1

        return loss.detach()

    def _rate(self) -> float:
        """Return the rate of a step: a short warm-up, then half a cosine."""
        done = self.progress
        warm = min(1.0, (self.steps + 1) / WARM_UP_STEPS)
        return float(self.config.rate * warm * (0.5 + 0.5 * np.cos(np.pi * done)) + LAST_RATE)

    def state(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "spent_s": self.schedule.spent_s,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def resume(self, state: dict[str, object]) -> None:
        self.network.load_state_dict(state["network"])  # type: ignore[arg-type]
        self.optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]
        self.steps = int(str(state["steps"]))
        self.schedule.earlier_s = float(str(state.get("spent_s", 0.0)))


def cover_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Return cross entropy plus a soft overlap term, each over the pixels whose truth is known."""
    # Beside the face nothing is shown; its truth is learnt a little all the same.
    weight = batch.weight + OFF_FACE
    entropy = F.binary_cross_entropy_with_logits(logits, batch.truth, reduction="none")
    shown = torch.sigmoid(logits)

    both = (shown * batch.truth * batch.weight).sum((2, 3))
    either = ((shown + batch.truth) * batch.weight).sum((2, 3))
    # The floor keeps an empty mask from judging a handful of pixels.
    overlap = (2 * both + OVERLAP_FLOOR_PX) / (either + OVERLAP_FLOOR_PX)

    return (entropy * weight).sum() / weight.sum() + OVERLAP * (1 - overlap).mean()


def train(config: CoverConfig, folder: Path) -> None:
    """Train until the schedule ends or SIGTERM comes; print a line of progress as it goes."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    faces, hands = material.load(folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = replace(config, workers=config.workers or workers_for(device))
    trainer = CoverTrainer(config, device)
    path = folder / f"{config.run}.pt"

    if path.exists():
        trainer.resume(torch.load(path, map_location=device, weights_only=True))
    elif config.start:
        begun = torch.load(folder / f"{config.start}.pt", weights_only=True)
        trainer.network.load_state_dict(begun["network"])

    maker = SampleMaker(faces, hands, config.batch, config.seed)
    batches = prefetched(maker.batch, trainer.steps, config.workers)
    run(trainer, batches, path, partial(_report, trainer), LOG_EVERY, SAVE_EVERY_S)


def _report(trainer: CoverTrainer, recent: list[Tensor], seconds: float) -> None:
    size = trainer.config.batch
    left_min = trainer.schedule.left_min(trainer.progress)
    loss = float(torch.stack(recent).mean())
    sys.stdout.write(
        f"{trainer.steps * size} images, {len(recent) * size / seconds:.0f}/s,"
        f" {left_min:.1f} min left: loss {loss:.4f}\n"
    )
    sys.stdout.flush()


def parse() -> tuple[CoverConfig, Path]:
    """Return the run and the folder of its material from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser, CoverConfig.run, CoverConfig.images, CoverConfig.seed)
    parser.add_argument("--batch", type=int, default=CoverConfig.batch)
    parser.add_argument("--start", default="", help="a run whose weights to begin with")
    parser.add_argument("--rate", type=float, default=RATE, help="the highest learning rate")
    parser.add_argument("--folder", type=Path, default=Path("var/training/cover"))
    chosen = parser.parse_args()
    config = CoverConfig(
        run=chosen.run,
        images=chosen.images,
        minutes=chosen.minutes,
        seed=chosen.seed,
        start=chosen.start,
        rate=chosen.rate,
        batch=chosen.batch,
        workers=chosen.workers,
    )

    return config, chosen.folder


if __name__ == "__main__":
    train(*parse())
