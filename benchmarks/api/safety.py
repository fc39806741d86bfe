"""Bars of safety among other people, S-1 to S-15.

Where the whole bar is a test, it runs that test and counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.bar import Figure, bar
from benchmarks.stack import stopwatch
from benchmarks.suite import named, passed
from service.settings import Settings
from tests.material import PACKS, ROOT
from tests.service.live_service import LiveService, until
from tests.service.protocol.document.schema_run import run_schemathesis
from tests.store_server import StoreServer

TESTS = "tests/service"


@contextmanager
def live_service() -> Iterator[LiveService]:
    """Yield a service in this process, on a store of its own."""
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        store = StoreServer(Path(directory))
        store.start()
        # Shipped bounds and no trusted network: what is judged is what an operator starts.
        settings = Settings(data_dir=Path(directory) / "data", packs_dir=PACKS, redis_url=store.url)

        with LiveService(settings) as live:
            # Ninety seconds, since the models load in children while other bars may run.
            until(lambda: httpx.get(f"{live.url}/readyz").status_code == 200, timeout_s=90)
            yield live

        store.kill()


@bar("S-1")
def cuda_that_is_not_there_ends_the_process() -> Figure:
    """Service and worker with LIKENESS_DEVICE=cuda on a machine without it: their exit status."""
    with stopwatch(120), tempfile.TemporaryDirectory(prefix="lk-") as directory:
        store = StoreServer(Path(directory))
        store.start()
        told = {
            "DEVICE": "cuda",
            "REDIS_URL": store.url,
            "DATA_DIR": f"{directory}/data",
            "PACKS_DIR": str(PACKS),
        }

        # Port 0: whichever is free, so that bars may run side by side.
        environment = os.environ | {
            f"LIKENESS_{name}": value for name, value in (told | {"PORT": "0"}).items()
        }
        codes = [
            subprocess.run(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=environment,
                timeout=60,
                capture_output=True,
            ).returncode
            for command in (["service", "serve"], ["worker", "--queue", "image"])
        ]
        store.kill()

    print(f"exit status: service {codes[0]}, worker {codes[1]}")
    # A process that ends with 0 has quietly gone on without the device.
    return Figure(codes.count(0), "silent fallbacks", "0", all(codes))


@bar("S-2")
def a_foreign_id_answers_as_an_unknown_one() -> Figure:
    """Every route with another tenant's id: 404, byte for byte the answer to an unknown id."""
    return passed(f"{TESTS}/identities/test_tenants.py")


@bar("S-3")
def no_private_address_is_reached() -> Figure:
    """URLs to addresses that are not public, redirects, rebinding: no connection is opened."""
    return passed(f"{TESTS}/intake/test_fetching.py")


@bar("S-4")
def bombs_are_refused_at_once() -> Figure:
    """Images and videos that would unpack to gigabytes, endless bodies: 413 in 1 s and 200 MB,
    nothing left behind; JPEGs of endless scans, also as a photo and as frames of a video: 422.
    """
    return passed(
        *named(
            f"{TESTS}/intake/test_upload_bounds.py",
            "test_a_bomb_is_refused_within_a_second_and_without_memory",
            "test_a_jpeg_of_endless_scans_is_refused_at_once",
            "test_an_endless_body_is_cut_off",
            "test_a_length_beyond_the_limit_is_refused_before_the_body",
        ),
        # The same bomb as frames of a video, which the worker decodes and the API does not.
        "tests/worker/video/files/test_scan_bombs.py",
    )


@bar("S-5")
def what_is_no_media_is_refused_and_opens_no_file() -> Figure:
    """Playlists, vectors, scripts and polyglots under false types: refused, and a watched canary
    file is not opened. The children that decode reach no socket (unix, TCP, UDP), no program and
    no other file.
    """
    return passed(
        # Refusing by name is half of it; the other half is what a decoder that was taken over can
        # do.
        f"{TESTS}/sandbox",
        *named(
            f"{TESTS}/intake/test_uploads.py",
            "test_what_is_no_image_or_video_is_refused_whatever_it_says",
            "test_a_declared_type_of_another_kind_is_refused",
            "test_a_broken_header_is_undecodable",
        ),
        *named(
            "tests/worker/process/test_warm_worker.py",
            "test_a_child_that_was_taken_over_can_do_none_of_twelve_deeds",
        ),
    )


@bar("S-7")
def names_lead_nowhere() -> Figure:
    """Traversal in names, ids, cursors and headers; modes of files and directories."""
    return passed(
        *named(
            f"{TESTS}/intake/test_uploads.py",
            "test_a_file_name_is_never_used",
            "test_files_and_directories_are_ours_alone",
        ),
        *named(
            f"{TESTS}/jobs/test_listing_jobs.py",
            "test_a_bad_listing_is_a_400",
        ),
        *named(
            f"{TESTS}/jobs/test_following_jobs.py",
            "test_a_malformed_event_id_is_refused",
        ),
        *named(f"{TESTS}/protocol/test_problems.py", "test_every_failure_is_a_problem"),
    )


@bar("S-8")
def keys_are_hashed_shown_once_and_revocable() -> Figure:
    """Keys: random, hashed, scoped, revoked at once, in no file of the store and in no log record;
    open streams and downloads end with their key.
    """
    return passed(f"{TESTS}/stack/test_keys.py", f"{TESTS}/protocol/test_revocation.py")


@bar("S-9")
def no_pickle_and_no_foreign_function_runs() -> Figure:
    """Queue entries that are pickles or name another function are refused by a real worker."""
    return passed(
        *named(
            "tests/worker/process/test_warm_worker.py",
            "test_a_foreign_function_or_a_pickle_in_the_queue_is_refused",
        )
    )


@bar("S-11")
def the_audit_log_is_chained() -> Figure:
    """What is done is told in order; an edit, a cut tail and a recomputed chain are found."""
    return passed(
        "tests/worker/stores/test_audit.py",
        *named(f"{TESTS}/identities/test_erasure.py", "test_the_audit_log_says_what_was_done"),
    )


@bar("S-13")
def every_failure_is_a_problem() -> Figure:
    """Failures of all kinds: problem+json with a code, and nothing about the machine."""
    return passed(
        f"{TESTS}/protocol/test_problems.py",
        f"{TESTS}/protocol/document/test_openapi.py",
        "-k",
        # Generated requests have a bar of their own, S-15.
        "not generated",
    )


@bar("S-14")
def containers_are_hardened() -> Figure:
    """Dockerfile, compose files and manifests: no root, read-only, no capabilities, no new
    privileges, no secrets; then the image is built and run (as X-1 does), and its processes are
    asked.
    """
    said = passed("tests/architecture/test_deployment.py")
    shown = passed("-m", "image", "tests/image")
    count = f"{said.value} + {shown.value}"
    return Figure(count, "tests passed", "all of them", said.holds and shown.holds)


@bar("S-15")
def generated_requests_find_nothing() -> Figure:
    """schemathesis on every route, authenticated: server errors and answers off the schema."""
    with stopwatch(600), live_service() as live:
        # Both can be set, to repeat what was found or to look longer.
        run = run_schemathesis(
            live, int(os.environ.get("EXAMPLES", "40")), int(os.environ.get("SEED", "1"))
        )

    print(run.report if run.failures else f"{run.requests} requests")
    return Figure(run.failures, "failures", "0", run.failures == 0)
