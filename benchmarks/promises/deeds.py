"""What code that took over a decoder would try, as twelve deeds and the targets they aim at.

`python -m benchmarks.promises.deeds NAME TARGETS` does one without any confinement, which shows
that the deed works where nothing refuses it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from worker.contract.options import Strict

DONE = "done"


class Targets(Strict):
    """Things of other people that a child must not touch; ports and paths of this machine."""

    store_socket: str
    tcp_port: int
    udp_port: int
    victim_pid: int
    api_pid: int
    upload: str
    append_only_file: str
    pack_file: str


def connect_to_the_store(targets: Targets) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        # Connecting alone might be allowed and be of no use: a command is sent and answered.
        client.connect(targets.store_socket)
        client.sendall(b"PING\r\n")
        return bool(client.recv(16))


def connect_by_tcp(targets: Targets) -> bool:
    with socket.create_connection(("127.0.0.1", targets.tcp_port), timeout=2):
        return True


def send_by_udp(targets: Targets) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        return client.sendto(b"stolen", ("127.0.0.1", targets.udp_port)) > 0


def run_a_program(_targets: Targets) -> bool:
    os.execv("/bin/echo", ["echo", DONE])  # noqa: S606 - the deed itself; replaces this process


def fork(_targets: Targets) -> bool:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


def kill_another_process(targets: Targets) -> bool:
    os.kill(targets.victim_pid, signal.SIGCONT)  # harmless, and the same permission as any other
    return True


def change_a_files_mode(targets: Targets) -> bool:
    Path(targets.upload).chmod(0o644)
    return True


def truncate_a_file(targets: Targets) -> bool:
    # To its own length: the same call, and nothing is lost where it succeeds.
    os.truncate(targets.upload, os.stat(targets.upload).st_size)
    return True


def read_a_foreign_upload(targets: Targets) -> bool:
    return bool(Path(targets.upload).read_bytes())


def read_the_append_only_file(targets: Targets) -> bool:
    # It holds every tenant's records.
    return Path(targets.append_only_file).open("rb").read(1) is not None


def write_the_pack(targets: Targets) -> bool:
    with Path(targets.pack_file).open("ab"):
        return True


def look_into_the_api(targets: Targets) -> bool:
    # Reading memory needs the same permission as looking at the map of it.
    return bool(Path(f"/proc/{targets.api_pid}/maps").read_bytes())


DEEDS: Mapping[str, Callable[[Targets], bool]] = {
    deed.__name__: deed
    for deed in (
        connect_to_the_store,
        connect_by_tcp,
        send_by_udp,
        run_a_program,
        fork,
        kill_another_process,
        change_a_files_mode,
        truncate_a_file,
        read_a_foreign_upload,
        read_the_append_only_file,
        write_the_pack,
        look_into_the_api,
    )
}


def attempt(name: str, targets: Targets) -> str:
    """Return "done", or the error that refused the deed."""
    try:
        return DONE if DEEDS[name](targets) else "nothing happened"
    # Whatever keeps it from happening: which rule it was is printed.
    except OSError as error:
        return f"{type(error).__name__} {error.errno}"


if __name__ == "__main__":
    print(attempt(sys.argv[1], Targets.model_validate_json(sys.argv[2])))
