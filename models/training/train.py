"""Distils the teacher into the open pack's IIM and IDN (docs/method.md 9): `python -m
models.training.train`.

Resumable: state is written to `var/training/runs/<run>/state.pt` every few minutes and on SIGTERM,
and batch k of a seed is always the same, so a run that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from models.training.curves import TERMS
from models.training.dataset import FaceSet
from models.training.evaluation.tables import append_quietly
from models.training.loop import termination, workers_for
from models.training.pairs import PairMix
from models.training.student import PARTS, TrainConfig
from models.training.trainer import Trainer


def train(config: TrainConfig, folder: Path, graphs: Path) -> None:
    """Train until the schedule ends or SIGTERM comes.

    Writes state, the curve and a line of progress as it goes.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = replace(config, workers=config.workers or workers_for(device))
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
    with termination() as stopped:
        _run(trainer, run, stopped)


def _run(trainer: Trainer, run: Path, stopped: list[int]) -> None:
    saved = time.monotonic()
    logged = time.monotonic()
    recent: list[dict[str, Tensor]] = []

    # Batches are made from the step on: a resumed run sees those that it has not seen.
    for batch in trainer.pairs.batches(trainer.steps, trainer.config.workers):
        recent.append(trainer.step(batch.to(trainer.device)))
        finished = trainer.progress >= 1 or bool(stopped)

        if len(recent) == trainer.config.log_every:
            _report(run, trainer, recent, time.monotonic() - logged)
            logged = time.monotonic()
            recent = []

        # Saved by the clock, since a step takes longer on some machines than a schedule can know.
        if finished or time.monotonic() - saved > trainer.config.save_every_s:
            _save(run / "state.pt", trainer)
            saved = time.monotonic()

        if finished:
            return


def _save(path: Path, trainer: Trainer) -> None:
    partial = path.with_suffix(".partial")
    # Written beside and renamed: an end in the middle of writing leaves the state before.
    torch.save(trainer.state(), partial)
    partial.replace(path)


def _report(run: Path, trainer: Trainer, recent: list[dict[str, Tensor]], seconds: float) -> None:
    means = {
        # Terms that were not computed in this stretch show as gaps in the curve.
        name: float(np.mean([float(r[name]) for r in recent if name in r] or [np.nan]))
        for name in TERMS
    }
    images = trainer.steps * trainer.images_per_step
    rate = len(recent) * trainer.images_per_step / seconds
    spent_min = trainer.schedule.spent_s / 60
    eta_min = spent_min / max(trainer.progress, 1e-6) - spent_min
    curve = run / "curve.csv"
    losses = {name: f"{value:.5f}" for name, value in means.items()}
    append_quietly(curve, {"images": images, "images_per_s": f"{rate:.1f}"} | losses)

    shown = " ".join(f"{name} {value:.4f}" for name, value in means.items() if value == value)
    sys.stdout.write(f"{images} images, {rate:.1f}/s, {eta_min:.0f} min left: {shown}\n")
    # Followed with `tail -f` while it lasts.
    sys.stdout.flush()


def parse(arguments: Iterable[str] | None = None) -> tuple[TrainConfig, Path, Path]:
    """Return the run, its folder and that of the pack's graphs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default="main")
    parser.add_argument("--images", type=int, default=TrainConfig.images)
    parser.add_argument("--minutes", type=float, default=0.0, help="end by time, not by images")
    parser.add_argument("--identities", type=int, default=PairMix.identities, help="in a batch")
    parser.add_argument("--targets", type=int, default=PairMix.targets, help="of each of them")
    parser.add_argument("--seed", type=int, default=TrainConfig.seed)
    parser.add_argument("--threads", type=int, default=TrainConfig.threads)
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that make batches; 0: what fits"
    )
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
