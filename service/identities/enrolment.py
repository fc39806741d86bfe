"""Encoding of faces: photos go to a warm, sandboxed child, which returns code and weights."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from service.fair_queue import FairQueue
from service.protocol.catalogue import CODES
from service.protocol.observability import Metrics
from service.protocol.problems import Refused, ServiceError
from service.sandbox.child import ChildError, ChildStartError, SandboxedChild
from service.sandbox.serving import Reply
from service.settings import Settings
from worker.process.memory import fitting
from worker.sandbox.confinement import Protection
from worker.sandbox.limits import device_environment

log = logging.getLogger(__name__)

_BAND_CHARACTERS = 32
_LOOK_AGAIN_S = 2.0  # at a healthy child; longer after each failure to start one


@dataclass(frozen=True)
class EncodedFace:
    """What the child returns: opaque bytes for the store, and a report for each photo.

    `embedding` is float32 of unit length, for the never-swap list.
    """

    pack: str
    code: bytes
    weights: bytes
    photos: Sequence[Mapping[str, Any]]
    embedding: bytes
    age_band: str | None = None


class Enrolment:
    """The enrolment child and the queue before it."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        arguments = [
            settings.pack,
            str(settings.packs_root.resolve()),
            settings.device,
            # The bound shrinks to what the container has left beside the probe child.
            str(fitting(settings.enrolment_memory_bytes, beside_bytes=settings.probe_memory_bytes)),
            settings.media_limits.model_dump_json(),
        ]

        self._child = SandboxedChild(
            "service.sandbox.enrolment_child",
            arguments,
            settings.enrolment_start_timeout_s,
            metrics.child_restarts.labels("enrolment").inc,
            device_environment(),
        )

        self._metrics = metrics
        switches = {"nudity": settings.nudity_check, "age": settings.age_check}
        self._checks = [name for name, switch in switches.items() if switch == "on"]
        self._timeout_s = settings.enrolment_timeout_s
        # One at a time: the child's network uses all cores, so that two would only wait for each
        # other.
        self._turns = FairQueue(
            at_once=1,
            per_tenant=1,
            waiting=settings.enrolment_queue,
            wait_s=settings.enrolment_timeout_s,
            refusal=lambda: ServiceError("enrolment_busy"),
        )

    @property
    def ready(self) -> bool:
        """Whether the child is up with the pack loaded."""
        return self._child.ready

    @property
    def about(self) -> Mapping[str, Any]:
        """The pack and provider that the child reported; empty until it is up."""
        return self._child.hello

    @property
    def protection(self) -> Protection | None:
        """What the kernel enforces on the child; None until it is up."""
        return self._child.protection

    async def start(self) -> None:
        """Start the child.

        Raises ChildStartError, whose reason is in the child's last words in the log.
        """
        await self._child.start()
        self._metrics.provider.labels(self.about["provider"]).set(1)

    async def keep_ready(self) -> None:
        """Start the child, and restart it whenever it has died, until cancelled."""
        failures = 0
        while True:
            try:
                await self.start()
                failures = 0
            # Readiness tells it; the next attempts come further and further apart.
            except ChildStartError:
                failures += 1
                log.error("enrolment child does not start", extra={"failures": failures})
            except Exception:  # the outermost loop: no caller could go on
                failures += 1
                log.exception("enrolment child cannot be started")

            await asyncio.sleep(min(60.0, _LOOK_AGAIN_S * 2 ** min(failures, 5)))

    async def stop(self) -> None:
        """Kill the child."""
        await self._child.stop()

    async def encode(self, tenant: str, photos: Sequence[BinaryIO]) -> EncodedFace:
        """Return the code and weights that the child computes from one person's `photos`.

        Raises the photo problems, busy and unavailable.
        """
        began = time.perf_counter()
        reply = await self._ask(tenant, photos, {"checks": self._checks})
        self._metrics.registrations.observe(time.perf_counter() - began)
        code, weights, embedding = reply.blobs

        return EncodedFace(
            pack=reply.header["pack"],
            code=code,
            weights=weights,
            photos=reply.header["photos"],
            embedding=embedding,
            age_band=reply.header.get("age"),
        )

    async def embed(self, tenant: str, photos: Sequence[BinaryIO]) -> tuple[str, bytes]:
        """Return the pack and the embedding (float32) of the face in one person's `photos`.

        No refusal applies: a minor, too, may ask not to be swapped. Raises as `encode` does.
        """
        reply = await self._ask(tenant, photos, {"embedding_only": True})
        return str(reply.header["pack"]), reply.blobs[0]

    async def _ask(
        self, tenant: str, photos: Sequence[BinaryIO], request: Mapping[str, Any]
    ) -> Reply:
        try:
            async with self._turns.turn(tenant):
                reply = await self._child.ask(request, photos, self._timeout_s)
        except ChildStartError as error:
            raise ServiceError("enrolment_unavailable") from error
        # A photo that kills the child is the client's: the same photo would kill the next one too.
        except ChildError as error:
            log.warning("photo killed the enrolment child", extra={"reason": type(error).__name__})
            raise ServiceError(
                "undecodable", "A photo could not be processed within its limits"
            ) from error

        if refused := reply.header.get("refused"):
            code = refused["code"] if refused["code"] in CODES else "internal"
            raise Refused(code, str(refused["check"]), str(refused["band"])[:_BAND_CHARACTERS])
        if failure := reply.header.get("code"):
            raise ServiceError(failure if failure in CODES else "internal", reply.header["detail"])

        return reply
