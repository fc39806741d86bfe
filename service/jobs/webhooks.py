"""Webhooks: messages about finished jobs, signed by Standard Webhooks 1.0, until they are delivered
or given up.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import httpcore
from anyio import to_thread

from service.intake.fetching import GuardedClient
from service.intake.outgoing_urls import AddressRefusedError
from service.jobs.delivery_log import DeliveryAttempt, DeliveryLog, DeliveryOutcome
from service.jobs.webhook_messages import EndMessages, signed_headers
from service.protocol.observability import Metrics
from worker.errors import StoreError, UnknownEndpoint
from worker.stores.endpoints import Endpoint
from worker.stores.ids import new_id
from worker.stores.outbox import Delivery, Outbox

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_LEASE_S = 60.0  # longer than any sending takes
_GONE = 410

# Receivers that do not answer cost a socket for 15 s each. Those of one tenant are never more than
# an eighth of all, so that the others' messages leave at once.
AT_ONCE = 128
PER_TENANT = 16


@dataclass(frozen=True)
class _Answer:
    """What a receiver answered: a status, or 0 and the `error` that kept it from answering.

    `is_refused` where its address may not be connected to: the next try would end the same.
    """

    status: int
    error: str | None = None
    is_refused: bool = False


class WebhookSender:
    """Sends what the outbox holds.

    Several processes may run one each, since a message is leased to its sender.
    """

    def __init__(
        self,
        outbox: Outbox,
        messages: EndMessages,
        client: GuardedClient,
        metrics: Metrics,
        deliveries: DeliveryLog,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._messages = messages
        self._client = client
        self._metrics = metrics
        self._log = deliveries
        self._clock = clock
        self._sending: dict[asyncio.Task[None], str] = {}  # with the tenant of the message

    async def run(self) -> None:
        """Send messages as they become due, for ever; the store may go away and come back."""
        try:
            while True:
                started = await self._start_due_safely()
                # While there is more due and room for it, go on without a pause.
                if not started or len(self._sending) >= AT_ONCE:
                    await self._pause()
        finally:
            for task in self._sending:
                task.cancel()  # their leases end, and another sender takes them

    async def send_due(self) -> int:
        """Send every message that is due now, side by side; return how many there were."""
        started = await self._start_due()
        await asyncio.gather(*started)
        return len(started)

    async def _start_due_safely(self) -> int:
        try:
            return len(await self._start_due())
        except StoreError as error:
            log.warning("outbox out of reach", extra={"code": error.code})
        except Exception:  # the outermost loop: no caller could go on
            log.exception("sending failed")

        return 0

    async def _start_due(self) -> Sequence[asyncio.Task[None]]:
        """Begin to send what is due and return the tasks, without waiting for any receiver."""
        claim = partial(
            self._outbox.claim,
            limit=AT_ONCE - len(self._sending),
            lease_s=_LEASE_S,
            share=PER_TENANT,
            sending=Counter(self._sending.values()),
        )

        due = await to_thread.run_sync(claim)
        return [self._start(delivery) for delivery in due]

    def _start(self, delivery: Delivery) -> asyncio.Task[None]:
        task = asyncio.create_task(self._send_safely(delivery))
        self._sending[task] = delivery.tenant
        task.add_done_callback(self._sending.pop)
        return task

    async def _pause(self) -> None:
        """Wait until a place is free, or it is time to look again."""
        if self._sending:
            await asyncio.wait(
                self._sending, timeout=_LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED
            )
        else:
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _send_safely(self, delivery: Delivery) -> None:
        try:
            await self._send(delivery)
        except StoreError as error:
            log.warning("outbox out of reach", extra={"code": error.code})
        except Exception:  # one message must not end the sending of all others
            log.exception("message could not be sent", extra={"message_id": delivery.id})

    async def _send(self, delivery: Delivery) -> None:
        prepared = await to_thread.run_sync(self._prepare, delivery)
        # The job is deleted or names no receiver: there is nothing left to say.
        if prepared is None:
            await to_thread.run_sync(self._outbox.drop, delivery)
            return

        url, headers, body = prepared
        answer = await self._post(url, headers, body)
        await to_thread.run_sync(self._settle, delivery, answer)

    async def ping(self, endpoint: Endpoint) -> tuple[int, str | None]:
        """Send one signed message of type `endpoint.test` now, outside of the outbox.

        Return the status, 0 without an answer, and why there was none.
        """
        now = self._clock()
        message = {
            "type": "endpoint.test",
            "timestamp": datetime.fromtimestamp(now, UTC).isoformat(),
            "data": {"endpoint_id": endpoint.id},
        }
        body = json.dumps(message, separators=(",", ":")).encode()
        headers = signed_headers(endpoint.secrets, new_id("msg"), int(now), body)
        answer = await self._post(endpoint.url, headers, body)
        return answer.status, answer.error

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> _Answer:
        try:
            return _Answer(await self._client.post(url, headers, body))
        except AddressRefusedError as error:
            return _Answer(0, error.detail, is_refused=True)
        except (httpcore.TimeoutException, TimeoutError):
            return _Answer(0, "The receiver took too long")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            return _Answer(0, "The receiver could not be reached")

    def _prepare(self, delivery: Delivery) -> tuple[str, dict[str, str], bytes] | None:
        # At each attempt anew: receivers refuse timestamps older than five minutes.
        now = self._clock()
        message = self._messages.of(delivery.job_id, now)
        if message is None:
            return None  # deleted by its owner

        url = delivery.endpoint.url if delivery.endpoint else message.webhook
        if url is None:
            return None

        secrets = (
            delivery.endpoint.secrets
            if delivery.endpoint
            else [self._outbox.endpoints.tenant_secret(delivery.tenant)]
        )

        # Compact, and dumped once: the very bytes that are signed are sent.
        body = json.dumps(message.body, separators=(",", ":")).encode()
        return url, signed_headers(secrets, delivery.id, int(now), body), body

    def _settle(self, delivery: Delivery, answer: _Answer) -> None:
        status = answer.status
        outcome: DeliveryOutcome = (
            "delivered" if 200 <= status < 300 else "disabled" if status == _GONE else "retried"
        )
        if outcome == "delivered":
            self._outbox.delivered(delivery)
        elif outcome == "disabled":
            self._disable(delivery)
        elif answer.is_refused:
            self._outbox.drop(delivery)
            outcome = "given_up"
        # The schedule is through: about three days after the first attempt.
        elif self._outbox.retry(delivery) is None:
            outcome = "given_up"

        self._metrics.webhooks.labels(outcome).inc()
        attempt = DeliveryAttempt(
            message_id=delivery.id,
            endpoint_id=delivery.endpoint.id if delivery.endpoint else None,
            job_id=delivery.job_id,
            attempt=delivery.attempt + 1,
            status=status,
            outcome=outcome,
            error=answer.error or (None if outcome == "delivered" else f"It answered {status}"),
            at=self._clock(),
        )
        self._log.add(delivery.tenant, attempt)
        log.info(
            "webhook sent", extra={"message_id": delivery.id, "status": status, "outcome": outcome}
        )

    def _disable(self, delivery: Delivery) -> None:
        if delivery.endpoint is not None:
            try:
                self._outbox.endpoints.disable(
                    delivery.endpoint.id, "The receiver answered 410 Gone"
                )
            except UnknownEndpoint:
                log.info(
                    "webhook endpoint was deleted meanwhile", extra={"message_id": delivery.id}
                )

        self._outbox.drop(delivery)
