"""Distils the teacher into the open pack's IIM and IDN (docs/method.md 9): `python -m
models.training.train`.

Resumable: state is written to `var/training/runs/<run>/state.pt` every few minutes and on SIGTERM,
and batch k of a seed is always the same, so a run that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from models.training import loop
from models.training.curves import TERMS
from models.training.dataset import FaceSet
from models.training.evaluation.tables import append_quietly
from models.training.pairs import PairMix
from models.training.student import PARTS, TrainConfig
from models.training.trainer import Trainer


def train(config: TrainConfig, folder: Path, graphs: Path) -> None:
    """Train until the schedule ends or SIGTERM comes.

    Writes state, the curve and a line of progress as it goes.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = replace(config, workers=config.workers or loop.workers_for(device))
    torch.set_num_threads(config.threads)
    # The losses' networks run in single floats, whose last digits they do not need.
    torch.set_float32_matmul_precision("high")
    cv2.setNumThreads(1)
    run = folder / "runs" / config.run
    run.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config, FaceSet.load(folder / "faces"), graphs, device)

    # Weights only: a state is data, and is loaded as such.
    if (run / "state.pt").exists():
        trainer.resume(torch.load(run / "state.pt", map_location=device, weights_only=True))

    # Batches are made from the step on: a resumed run sees those that it has not seen.
    batches = trainer.pairs.batches(trainer.steps, config.workers)
    report = partial(_report, run, trainer)
    loop.run(trainer, batches, run / "state.pt", report, config.log_every, config.save_every_s)


def _report(run: Path, trainer: Trainer, recent: list[dict[str, Tensor]], seconds: float) -> None:
    means = {
        # Terms that were not computed in this stretch show as gaps in the curve.
        name: float(np.mean([float(r[name]) for r in recent if name in r] or [np.nan]))
        for name in TERMS
    }
    images = trainer.steps * trainer.images_per_step
    rate = len(recent) * trainer.images_per_step / seconds
    left_min = trainer.schedule.left_min(trainer.progress)
    curve = run / "curve.csv"
    losses = {name: f"{value:.5f}" for name, value in means.items()}
    append_quietly(curve, {"images": images, "images_per_s": f"{rate:.1f}"} | losses)

    shown = " ".join(f"{name} {value:.4f}" for name, value in means.items() if value == value)
    sys.stdout.write(f"{images} images, {rate:.1f}/s, {left_min:.0f} min left: {shown}\n")
    # Followed with `tail -f` while it lasts.
    sys.stdout.flush()


def parse(arguments: Iterable[str] | None = None) -> tuple[TrainConfig, Path, Path]:
    """Return the run, its folder and that of the pack's graphs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    loop.add_arguments(parser, TrainConfig.run, TrainConfig.images, TrainConfig.seed)
    parser.add_argument("--identities", type=int, default=PairMix.identities, help="in a batch")
    parser.add_argument("--targets", type=int, default=PairMix.targets, help="of each of them")
    parser.add_argument("--threads", type=int, default=TrainConfig.threads)
    parser.add_argument("--without", nargs="*", choices=PARTS, default=[])
    parser.add_argument(
        "--appearance", action="store_true", help="show the IIM the texture beside the embedding"
    )
    parser.add_argument("--start", action="store_true", help="with the committed weights")
    parser.add_argument("--folder", type=Path, default=Path("var/training"))
    parser.add_argument(
        "--graphs", type=Path, default=Path("var/packs/open"), help="folder of the pulled open pack"
    )
    found = parser.parse_args(None if arguments is None else list(arguments))
    config = TrainConfig(
        run=found.run,
        images=found.images,
        minutes=found.minutes,
        seed=found.seed,
        threads=found.threads,
        workers=found.workers,
        without=tuple(found.without),
        appearance=found.appearance,
        start=found.start,
        mix=PairMix(identities=found.identities, targets=found.targets),
    )

    return config, found.folder, found.graphs


if __name__ == "__main__":
    train(*parse())
