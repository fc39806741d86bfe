"""G-9: the audit trail keeps up with 64 writers, and nothing of it is lost."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bar import Figure, bar
from benchmarks.stack import stopwatch
from tests.material import ROOT
from tests.store_server import StoreServer
from worker.process.upkeep.audit_keeper import AuditKeeper
from worker.provenance.audit.archive import AuditArchive
from worker.provenance.provenance_store import ProvenanceStore
from worker.provenance.trust_store import TrustStore
from worker.stores.audit_log import AuditLog
from worker.stores.blobs.directory_blobs import DirectoryBlobs
from worker.stores.connection import connect

# Eight processes of eight threads: one process of 64 would measure its own interpreter's lock.
PROCESSES = 8
THREADS = 8
START_S = 3.0  # until eight interpreters have imported what they need
WRITTEN_S = 10.0
ROUND_S = 1.0  # how often the leading worker archives


@bar("G-9")
def the_audit_trail_keeps_up_with_64_writers() -> Figure:
    """Entries a second that 64 writers append for 10 s while a leader archives once a second, how
    long its rounds take, and whether the chain on disk has every entry.
    """
    with stopwatch(120), tempfile.TemporaryDirectory(prefix="lk-") as directory:
        folder = Path(directory)
        store = StoreServer(folder)
        store.start()

        try:
            keys = TrustStore(folder / "trust")
            keys.prepare()
            log = AuditLog(connect(store.url))
            archive = AuditArchive(folder / "audit", keys.audit_key())
            records = ProvenanceStore(DirectoryBlobs(folder / "media"))
            keeper = AuditKeeper(log, archive, keys.signer(), records, keep_days=1)
            rounds_s = archived_beside_writers(store.url, keeper)
            waiting = log.last_seq() - newest(archive)

            while log.pending(1):
                keeper.run()
            count = archive.verify(keys.signer().verify, log.last_seq())
        finally:
            store.kill()

    rate = count / WRITTEN_S
    print(f"{count} entries, all archived and verified; {waiting} waited when the writers ended")
    print(f"{len(rounds_s)} rounds of archiving, the longest took {max(rounds_s):.2f} s")
    return Figure(rate, "entries a second by 64 writers", ">= 2000", rate >= 2000)


def archived_beside_writers(url: str, keeper: AuditKeeper) -> Sequence[float]:
    """Archive until the writers end; return how long each round took, in seconds."""
    command = [sys.executable, "-m", __spec__.name, url, str(time.time() + START_S + WRITTEN_S)]
    writers = [subprocess.Popen(command, cwd=ROOT) for _ in range(PROCESSES)]
    rounds_s = []

    while any(writer.poll() is None for writer in writers):
        began = time.monotonic()
        keeper.run()
        rounds_s.append(time.monotonic() - began)
        time.sleep(ROUND_S)

    assert all(writer.returncode == 0 for writer in writers)
    return rounds_s


def newest(archive: AuditArchive) -> int:
    """Return the number of the newest archived entry."""
    last = archive.files.last()
    return last.entry.seq if last else 0


def write(url: str, end: float) -> None:
    """Append entries with eight threads from ten seconds before `end` on until then."""

    def append() -> None:
        log = AuditLog(connect(url))
        # All begin at once, whenever their process was ready.
        time.sleep(max(0.0, end - WRITTEN_S - time.time()))
        while time.time() < end:
            log.append("identity.used", "acme", "key_1", "idn_1", job="job_1")

    threads = [threading.Thread(target=append) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    write(sys.argv[1], float(sys.argv[2]))
