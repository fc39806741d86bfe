"""What a warm child can do: its engine with the models loaded, and the use cases on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict

import cv2

from models.inference.engine import FaceSwapEngine
from models.inference.warm_up import warm_up
from models.packs.integrity import require_intact
from models.packs.store import load_pack
from worker.contract.requests import JobKind, QueueName
from worker.job_context import UseCase, UseCases
from worker.settings import WorkerSettings
from worker.use_cases.analyse import Analyse
from worker.use_cases.certain_failures import failing_once
from worker.use_cases.export_identity import ExportIdentity
from worker.use_cases.identity_loader import IdentityLoader
from worker.use_cases.previewing.estimate import Estimate
from worker.use_cases.previewing.preview import Preview
from worker.use_cases.refine_identity import RefineBudget, RefineIdentity, RefineUseCases
from worker.use_cases.signing import Signing
from worker.use_cases.swap_image import SwapImage
from worker.use_cases.videos.swap_video import SwapVideo

REFINE_NICE = 15  # refinements can wait, swaps cannot


class EngineUseCases:
    """The use cases of one queue, all on one engine."""

    def __init__(
        self, engine: FaceSwapEngine, loader: IdentityLoader, by_kind: Mapping[JobKind, UseCase]
    ) -> None:
        self._engine = engine
        self._loader = loader
        self._by_kind = by_kind

    @property
    def pack(self) -> str:
        """The id of the pack whose models are loaded."""
        return self._engine.pack.id

    def find(self, kind: JobKind) -> UseCase:
        """Return the use case for this kind of job."""
        return failing_once(self._by_kind[kind])

    def counters(self) -> Mapping[str, int]:
        """Return what the engine has done since it was loaded."""
        return asdict(self._engine.counters)

    def forget(self, identity_id: str) -> None:
        """Drop what the process holds of an erased identity."""
        self._loader.forget(identity_id)


def load(queue: QueueName, settings: WorkerSettings) -> UseCases:
    """Return the use cases on an engine that is warm, so that no job pays for that.

    Raises:
        PackMissingError, PackUnreadableError, PackBrokenError, DeviceUnavailableError
    """
    # Hashes first: a graph that was changed on the disk must not run in silence.
    pack = require_intact(load_pack(settings.pack, settings.packs_root))
    # Without an engine: training loads networks of its own, and the engine's need not be held.
    if queue == "refine":
        os.nice(REFINE_NICE)
        os.environ.setdefault(
            "OMP_WAIT_POLICY", "passive"
        )  # torch's threads would spin on cores that swaps need
        return RefineUseCases(
            RefineIdentity(pack, RefineBudget(settings.refine_s, settings.refine_threads))
        )

    cv2.setNumThreads(
        settings.inference_threads
    )  # its own pool would fight decoder and encoder for the cores
    engine = FaceSwapEngine.load(
        pack,
        device=settings.device,
        threads=settings.inference_threads,
        nudity_check=settings.nudity_check == "on",
        age_check=settings.age_check == "on",
    )

    # First passes allocate and choose kernels; the hello is sent after that.
    warm_up(engine)
    loader = IdentityLoader(engine)
    by_kind: dict[JobKind, UseCase] = {
        "swap_image": Signing(SwapImage(engine, loader, settings.media_limits), pack.id),
        "swap_video": Signing(SwapVideo(engine, loader, settings.media_limits), pack.id),
        # Not signed: its result is JSON, which carries no mark.
        "analysis": Analyse(engine, settings.media_limits),
        "preview": Signing(Preview(engine, loader, settings.media_limits), pack.id),
        "estimate": Estimate(engine, loader, settings.media_limits),
        "export": ExportIdentity(engine, loader),
    }

    return EngineUseCases(engine, loader, by_kind)
