"""What a worker's parent makes of what its child says, also when the child was taken over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.process.played_child import ENDED, PACK, Desk, answers_to, says
from worker.composition import open_stores
from worker.errors import AttemptTimedOut, Canceled, JobFailure, WorkerError
from worker.process.attempts.attempt_server import ChildLost, UseCaseFailed
from worker.sandbox.messages import Channel, Message
from worker.settings import WorkerSettings


@pytest.fixture
def desk(store_url: str, tmp_path: Path) -> Iterator[Desk]:
    stores = open_stores(WorkerSettings(redis_url=store_url, data_dir=tmp_path))
    desk = Desk(stores)
    yield desk
    desk.staging.close()
    stores.jobs.redis.close()


def test_a_child_gets_its_job_and_its_input_and_nothing_of_the_store(desk: Desk) -> None:
    orders: list[Message | None] = []

    def child(channel: Channel) -> None:
        orders.append(channel.receive())
        channel.send(Message(ENDED))

    desk.serve(child)
    [order] = orders
    assert order is not None
    assert (desk.staging.inward / order.header["job"]["input"]).read_bytes() == b"input"
    assert "redis" not in str(order.header)


def test_identities_are_those_of_the_job(desk: Desk) -> None:
    own = answers_to(desk, {"ask": "code", "identity": desk.identity})
    assert own[0] == Message({"answer": True}, (b"code of acme",))
    for ask in ("code", "weights", "quality"):
        [answer] = answers_to(desk, {"ask": ask, "identity": desk.foreign})
        assert answer == Message({"answer": True, "error": "UnknownIdentity"})


def test_weights_that_are_missing_are_built_by_the_child(desk: Desk) -> None:
    desk.stores.jobs.redis.delete(f"lk:weights:{desk.identity}:{PACK}")
    got: list[Message | None] = []

    def child(channel: Channel) -> None:
        channel.receive()
        channel.send(Message({"ask": "weights", "identity": desk.identity}))
        got.append(channel.receive())
        channel.send(Message({"ask": "built"}, (b"built",)))
        got.append(channel.receive())
        channel.send(Message(ENDED))

    desk.serve(child)
    assert got[0] == Message({"answer": True, "build": True}, (b"code of acme",))
    assert got[1] == Message({"answer": True}, (b"built",))
    assert desk.stores.identities.weights(desk.identity, PACK) == b"built"


def test_a_child_that_cannot_build_frees_the_lock(desk: Desk) -> None:
    redis = desk.stores.jobs.redis
    redis.delete(f"lk:weights:{desk.identity}:{PACK}")
    weights = {"ask": "weights", "identity": desk.identity}
    answers_to(desk, weights, {"ask": "built"})
    assert not redis.exists(f"lk:weights:{desk.identity}:{PACK}:lock")


@pytest.mark.parametrize(
    "message",
    [
        {"ask": "publish_part", "file": "../../../store/appendonly.aof", "suffix": ".nut"},
        {"ask": "publish_part", "file": "part", "suffix": "/../x"},
        {"ask": "part", "sha256": "../../x", "suffix": ".nut"},
        {"ask": "progress", "done": -1, "total": None, "unit": "frame"},
        {"ask": "progress", "done": 1, "total": None, "unit": '"}'},
        {"ask": "progress", "done": 1, "total": None, "unit": "frame", "job": "job_of_another"},
        {"ask": "code", "identity": "*"},
        {"ask": "put_refined", "identity": "idn_" + "0" * 26, "refinement": {}},
        {"ask": "fan_out", "steps": ["../x"], "plan": "", "total": 1, "unit": "frame",
         "in_flight": 2, "spent": {}},
        {"ask": "eval", "script": "return 1"},
        {"ask": "built"},
        {},
    ],
)  # fmt: skip
def test_what_is_not_in_the_protocol_ends_the_child(desk: Desk, message: dict[str, Any]) -> None:
    with pytest.raises(ChildLost):
        desk.serve(says(message))


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../../escaped"},
        {"media_type": "text/html"},
        {"media_type": "image/svg+xml"},
        {"suffix": ".png/../../x"},
        {"width": -1},
    ],
)
def test_an_outcome_that_no_use_case_makes_ends_the_child(
    desk: Desk, change: dict[str, Any]
) -> None:
    outcome = {
        "file": "result.png",
        "media_type": "image/png",
        "suffix": ".png",
        "width": 1,
        "height": 1,
        "frames": 1,
        "report": {},
        "timings": {},
    }

    assert desk.serve(says({**ENDED, "outcome": outcome})).outcome is not None
    with pytest.raises(ChildLost):
        desk.serve(says({**ENDED, "outcome": {**outcome, **change}}))


def test_a_link_is_no_result(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("another tenant's face")
    os.symlink(secret, desk.staging.outward / "part")
    [answer] = answers_to(desk, {"ask": "publish_part", "file": "part", "suffix": ".nut"})
    assert answer == Message({"answer": True, "error": "UnknownMedia"})


def raised(code: str, final: bool = False) -> dict[str, Any]:
    return {"ask": "raised", "final": final, "code": code, "message": "why"}


@pytest.mark.parametrize(
    ("message", "expected", "code"),
    [
        (raised("no_face", final=True), JobFailure, "no_face"),
        (raised("an invention", final=True), JobFailure, "internal_error"),
        (raised("Exception"), UseCaseFailed, "use_case_failed"),
        # Nobody canceled it: a child cannot end a job as canceled by saying so.
        (raised("Canceled"), UseCaseFailed, "use_case_failed"),
        (raised("StoreUnavailable"), UseCaseFailed, "use_case_failed"),
    ],
)
def test_a_child_can_invent_failures_of_its_job_and_nothing_else(
    desk: Desk, message: dict[str, Any], expected: type[WorkerError], code: str
) -> None:
    with pytest.raises(expected) as caught:
        desk.serve(says(message))
    assert caught.value.code == code


def test_a_cancellation_reaches_the_child_with_its_second_report_and_comes_back(
    desk: Desk,
) -> None:
    desk.stores.jobs.request_cancel(desk.task.job_id)
    progress = {"ask": "progress", "done": 1, "total": 2, "unit": "frame"}
    with pytest.raises(Canceled):
        desk.serve(says(progress, progress, raised("Canceled")))


def test_a_child_that_says_nothing_is_late(desk: Desk) -> None:
    with pytest.raises(AttemptTimedOut):
        desk.serve(lambda channel: None, timeout_s=0.1)


def test_a_child_without_an_authority_gets_no_time(desk: Desk) -> None:
    answers: list[Message | None] = []

    def child(channel: Channel) -> None:
        channel.receive()
        channel.send(Message({"ask": "time_stamp"}, (b"message",)))
        answers.append(channel.receive())
        channel.send(Message(ENDED))

    desk.serve(child)
    (answer,) = answers
    assert answer is not None
    assert answer.blobs == ()


def test_faces_are_compared_by_the_parent_and_nonsense_ends_the_child(desk: Desk) -> None:
    answers: list[Message | None] = []

    def child(channel: Channel) -> None:
        channel.receive()
        channel.send(Message({"ask": "screen", "width": 8}, (bytes(16), bytes(8))))
        answers.append(channel.receive())
        channel.send(Message(ENDED))

    desk.serve(child)
    (answer,) = answers
    assert answer is not None
    assert (answer.header["verdict"], answer.header["review"]) == ("allowed", "")

    for blobs in ((bytes(12), b""), (bytes(8),)):
        with pytest.raises(ChildLost):
            desk.serve(says({"ask": "screen", "width": 8}, blobs=blobs))
