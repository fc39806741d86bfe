"""Identities on their way from the store to an engine."""

from __future__ import annotations

from dataclasses import replace

from models.inference.identity import IdentityCode
from tests.material import SAMPLES
from tests.worker.video.conftest import TENANT, VideoBench
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.ids import new_id


def test_an_identity_of_another_pack_fails_its_job_with_a_reason(
    bench: VideoBench, registered: dict[str, tuple[bytes, bytes]]
) -> None:
    code, weights = registered["ada"]
    foreign = replace(IdentityCode.from_bytes(code), pack="official@0123456789ab")
    record = IdentityRecord(id=new_id("idn"), tenant=TENANT, pack=foreign.pack, created_at=0.0)
    bench.stores.identities.put(record, foreign.to_bytes(), weights)
    bench.identities["other"] = record.id
    done = bench.work(bench.submit(SAMPLES / "solo_720p30.mp4", cast={"largest": "other"}))
    assert (done.status, done.attempt) == ("failed", 1)
    assert done.error is not None
    assert done.error.code == "bad_identity"
    assert "official@0123456789ab" in done.error.detail


def test_a_job_tells_which_pack_it_ran_on(bench: VideoBench) -> None:
    done = bench.work(bench.submit(SAMPLES / "solo_720p30.mp4", kind="analysis"))
    assert done.report["pack"] == bench.engine.pack.id
