"""Refining an identity, as a worker does it, with the open pack and a budget of seconds instead of
minutes.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from redis import Redis

from models.inference.engine import FaceSwapEngine
from models.inference.identity import IdentityCode, SpecialisedWeights
from models.packs.store import Pack, load_pack
from tests.material import PACKS, SAMPLES
from tests.worker.workers import Bench, performer
from worker.composition import Stores, open_stores
from worker.contract.jobs import JobRecord, Task
from worker.contract.options import Assignment
from worker.contract.requests import JobPayload, JobRequest
from worker.errors import IdentityErased, UnknownIdentity
from worker.media.images import decode_image
from worker.process.attempts.job_identities import JobIdentities
from worker.process.attempts.task_runner import TaskRunner
from worker.process.staging import Staging
from worker.settings import MediaLimits, WorkerSettings
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.ids import new_id
from worker.use_cases.identity_loader import IdentityLoader
from worker.use_cases.refine_identity import RefineBudget, RefineIdentity, RefineUseCases

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack("open", PACKS)


@pytest.fixture(scope="module")
def engine(pack: Pack) -> FaceSwapEngine:
    return FaceSwapEngine.load(pack)


@pytest.fixture(scope="module")
def code(engine: FaceSwapEngine) -> IdentityCode:
    return engine.register([decode_image(SAMPLES / "ada_neutral.jpg", MediaLimits()).bgr]).code


@pytest.fixture(scope="module")
def use_cases(pack: Pack) -> RefineUseCases:
    return RefineUseCases(RefineIdentity(pack, RefineBudget(seconds=120.0, steps=8)))


@pytest.fixture
def stores(store_url: str, tmp_path: Path) -> Stores:
    return open_stores(WorkerSettings(redis_url=store_url, data_dir=tmp_path))


@pytest.fixture
def identity(stores: Stores, engine: FaceSwapEngine, code: IdentityCode) -> str:
    record = IdentityRecord(new_id("idn"), "acme", engine.pack.id, time.time())
    stores.identities.put(record, code.to_bytes(), poor(engine.specialise(code)).to_bytes())
    return record.id


def poor(weights: SpecialisedWeights) -> SpecialisedWeights:
    """Weights that a few steps are sure to better."""
    rng = np.random.default_rng(0)
    noisy = {
        n: t + 0.5 * t.std() * rng.normal(size=t.shape).astype(np.float32)
        for n, t in weights.tensors.items()
    }
    return SpecialisedWeights(noisy)


def run(stores: Stores, use_cases: RefineUseCases, task: Task) -> None:
    runner = TaskRunner("test", stores, Staging(stores.media.scratch), performer(use_cases))
    runner.run_task(task.id, task.attempt)


def refine(stores: Stores, use_cases: RefineUseCases, identity: str) -> JobRecord:
    payload = JobPayload(
        kind="refine", tenant="acme", assignments=(Assignment(identity_id=identity),)
    )
    job = stores.jobs.admit(JobRequest(payload)).job
    [task] = stores.attempts.deliver("refine")
    TaskRunner("test", stores, Staging(stores.media.scratch), performer(use_cases)).run_task(
        task.id, task.attempt
    )

    return stores.jobs.get(job.id)


def of_a_job(stores: Stores, payload: JobPayload, identity: str) -> JobIdentities:
    """Return the identity as a job sees it that begins now."""
    return JobIdentities(stores.identities, payload, {identity: stores.identities.get(identity)})


def test_a_refined_identity_looks_more_like_its_person_and_says_so(
    stores: Stores, use_cases: RefineUseCases, identity: str, pack: Pack, engine: FaceSwapEngine
) -> None:
    derived = stores.identities.weights(identity, pack.id)
    loader = IdentityLoader(engine)
    swap = JobPayload(
        kind="swap_image", tenant="acme", assignments=(Assignment(identity_id=identity),)
    )
    [before] = loader.assignments(swap, of_a_job(stores, swap, identity))

    job = refine(stores, use_cases, identity)

    record = stores.identities.get(identity)
    assert job.status == "succeeded"
    assert (record.quality, record.cached) == ("refined", True)
    assert record.refinement is not None
    assert record.refinement["after"]["similarity"] >= record.refinement["before"]["similarity"]
    assert record.refinement["job_id"] == job.id
    refined = stores.identities.weights(identity, pack.id)
    assert refined is not None
    assert refined != derived
    # What the process holds under the old weights is not taken for the new ones.
    [after] = loader.assignments(swap, of_a_job(stores, swap, identity))
    assert after.identity.key != before.identity.key


def test_refined_weights_outlive_the_cache(
    stores: Stores,
    store: Redis,
    identity: str,
    pack: Pack,
    engine: FaceSwapEngine,
    code: IdentityCode,
) -> None:
    weights = engine.specialise(code).to_bytes()
    stores.identities.put_refined(identity, pack.id, weights, {"status": "succeeded"})
    store.delete(f"lk:weights:{identity}:{pack.id}")
    assert stores.identities.weights(identity, pack.id) == weights
    assert stores.identities.get(identity).cached
    stores.identities.erase(identity)
    assert stores.identities.weights(identity, pack.id) is None
    assert not [key for key in store.keys(f"*{identity}*") if not key.startswith(b"lk:erased:")]


def test_a_canceled_refinement_leaves_the_identity_as_it_was(
    stores: Stores, use_cases: RefineUseCases, identity: str, pack: Pack
) -> None:
    derived = stores.identities.weights(identity, pack.id)
    payload = JobPayload(
        kind="refine", tenant="acme", assignments=(Assignment(identity_id=identity),)
    )
    job = stores.jobs.admit(JobRequest(payload)).job
    [task] = stores.attempts.deliver("refine")
    stores.jobs.request_cancel(job.id)
    TaskRunner("test", stores, Staging(stores.media.scratch), performer(use_cases)).run_task(
        task.id, task.attempt
    )
    assert stores.jobs.get(job.id).status == "canceled"
    assert stores.identities.get(identity).quality == "instant"
    assert stores.identities.weights(identity, pack.id) == derived


def test_an_identity_erased_meanwhile_comes_back_in_no_form(
    stores: Stores,
    store: Redis,
    identity: str,
    pack: Pack,
    engine: FaceSwapEngine,
    code: IdentityCode,
) -> None:
    weights = engine.specialise(code).to_bytes()
    stores.identities.erase(identity)

    with pytest.raises(IdentityErased):
        stores.identities.put_refined(identity, pack.id, weights, {})

    with pytest.raises(UnknownIdentity):
        stores.identities.annotate(identity, quality="refined")

    assert not store.exists(f"lk:identity:{identity}", f"lk:weights:{identity}:{pack.id}")


def test_a_confined_child_refines(
    store_url: str, tmp_path: Path, engine: FaceSwapEngine, code: IdentityCode
) -> None:
    bench = Bench(store_url, tmp_path)
    try:
        record = IdentityRecord(new_id("idn"), "acme", engine.pack.id, time.time())
        weights = poor(engine.specialise(code)).to_bytes()
        bench.stores.identities.put(record, code.to_bytes(), weights)
        packs = str(engine.pack.root.parent)
        real = "worker.use_cases.load"
        bench.start_worker("refine", use_cases=real, packs_dir=packs, refine_s="1")
        payload = JobPayload(
            kind="refine", tenant="acme", assignments=(Assignment(identity_id=record.id),)
        )
        job = bench.stores.jobs.admit(JobRequest(payload)).job
        bench.stores.queue.deliver("refine")
        assert bench.wait_for(job, timeout_s=120).status == "succeeded"
        assert bench.stores.identities.get(record.id).refinement is not None
    finally:
        bench.close()
