"""Bar G-2: what code that took over a decoder can reach."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from benchmarks.bar import Figure, bar
from benchmarks.promises.deeds import DEEDS, DONE, Targets
from benchmarks.promises.targets import targets_on, unconfined
from benchmarks.stack import Stack, running_stack, stopwatch
from service.sandbox.child import ChildError, SandboxedChild
from tests.material import PACKS
from worker.contract.jobs import JobRecord
from worker.contract.requests import QUEUE_OF, JobKind, JobPayload, JobRequest, QueueName
from worker.sandbox.confinement import Protection
from worker.settings import MediaLimits

Outcomes = dict[str, str]

# As `service.composition` starts them.
API_CHILDREN: Mapping[str, list[str]] = {
    "probe": [str(1 << 30), MediaLimits().model_dump_json(), "probe"],
    "verify": [str(1 << 30), "verify"],
    "enrolment": ["open", str(PACKS), "cpu", str(6 << 30), MediaLimits().model_dump_json()],
}
KIND_ON: Mapping[QueueName, JobKind] = {queue: kind for kind, queue in QUEUE_OF.items()}


@bar("G-2")
def a_taken_over_decoder_reaches_nothing() -> Figure:
    """Twelve deeds in each process that decodes, and in one without confinement for comparison."""
    with stopwatch(300), running_stack() as here, targets_on(here.store, PACKS / "open") as targets:
        # The control: what fails here too would count as refused everywhere else.
        outcomes = {"no cage": {name: unconfined(name, targets) for name in DEEDS}}
        for child, arguments in API_CHILDREN.items():
            outcomes[child] = asyncio.run(_of_api_child(child, arguments, targets))

        for queue in KIND_ON:
            outcomes[f"worker-{queue}"] = _of_worker_child(here, queue, targets)

        _print(outcomes)

    # What cannot be done without confinement either says nothing about it.
    possible = sum(said == DONE for said in outcomes.pop("no cage").values())
    # The weakest child is the figure: it is the one that would be attacked.
    refused = min(
        sum("Error" in said for said in by_deed.values()) for by_deed in outcomes.values()
    )
    holds = refused == possible == len(DEEDS)
    return Figure(
        refused, f"of {possible} deeds refused in each child", "12 of 12 in each child", holds
    )


async def _of_api_child(name: str, arguments: list[str], targets: Targets) -> Outcomes:
    # As long as the API itself gives its children.
    child = SandboxedChild("benchmarks.promises.deed_child", arguments, 60, lambda: None)
    outcomes: Outcomes = {}

    try:
        await child.start()
        _print_protection(name, child.protection)

        for deed in DEEDS:
            request = {"deed": deed, "targets": targets.model_dump()}
            try:
                outcomes[deed] = str((await child.ask(request, [], 20)).header["outcome"])
            # A child that is replaced or killed does not answer: the deed happened.
            except ChildError:
                outcomes[deed] = DONE  # it became another program
    finally:
        await child.stop()

    return outcomes


def _of_worker_child(here: Stack, queue: QueueName, targets: Targets) -> Outcomes:
    name = f"worker-{queue}"
    here.add_worker(name, queue, small=False, use_cases="benchmarks.promises.deed_use_cases")
    here.await_workers(len([key for key in here.keeper.start if key.startswith("worker")]))
    protections = {worker.queue: worker.protection for worker in here.bench.stores.queue.workers()}
    _print_protection(name, protections[queue])

    outcomes: Outcomes = {}
    for deed in DEEDS:
        ended = here.bench.wait_for(_submit(here, queue, deed, targets), timeout_s=60)
        # Without an outcome the child did not live to tell.
        outcomes[deed] = str(ended.report.get("outcome", DONE))

    return outcomes


def _submit(here: Stack, queue: QueueName, deed: str, targets: Targets) -> JobRecord:
    payload = JobPayload(kind=KIND_ON[queue], tenant="acme", input_id=here.bench.upload())
    metadata = {"deed": deed, "targets": targets.model_dump()}
    job = here.bench.stores.jobs.admit(JobRequest(payload, metadata=metadata)).job
    here.bench.stores.queue.deliver(queue)
    return job


def _print_protection(name: str, protection: Protection | None) -> None:
    held = protection or Protection()
    said = f"Landlock {held.landlock}, seccomp {'on' if held.seccomp else 'missing'}"
    print(f"{name}: {said}, rules {held.rules}", flush=True)


def _print(outcomes: Mapping[str, Outcomes]) -> None:
    print(f"{'deed':28}" + "".join(f"{child:>22}" for child in outcomes))
    for deed in DEEDS:
        print(f"{deed:28}" + "".join(f"{by_deed[deed]:>22}" for by_deed in outcomes.values()))
