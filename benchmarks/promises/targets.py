"""Real targets for the deeds, and the proof that each deed works where nothing refuses it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.promises import deeds
from benchmarks.promises.deeds import Targets
from tests.material import ROOT
from tests.store_server import StoreServer


def unconfined(name: str, targets: Targets) -> str:
    """Return what comes of a deed in a process that nothing confines."""
    command = [sys.executable, "-m", deeds.__name__, name, targets.model_dump_json()]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    return ended.stdout.strip()


@contextmanager
def targets_on(store: StoreServer, pack_root: Path) -> Iterator[Targets]:
    """Yield targets that exist: listeners, a process, an upload, a copy of the pack's manifest."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lk-")))
        upload = folder / "upl_of_somebody_else.jpg"
        upload.write_bytes(b"a face")
        pack_file = pack_root / "pack.toml"
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        # A process of the same user, as another job's child would be.
        victim = stack.enter_context(subprocess.Popen([shutil.which("sleep") or "sleep", "600"]))
        stack.callback(victim.kill)
        yield Targets(
            store_socket=str(store.socket),
            tcp_port=tcp.getsockname()[1],
            udp_port=udp.getsockname()[1],
            victim_pid=victim.pid,
            api_pid=os.getpid(),
            upload=str(upload),
            # The real log of a running store, and not a file that stands for it.
            append_only_file=str(next(store.directory.glob("appendonlydir/*.aof"))),
            pack_file=str(pack_file),
        )
