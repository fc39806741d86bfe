from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.stack.supervisor import MAX_LOG_BYTES, Program, Supervisor, restart_pause_s
from tests.material import ROOT

SLEEPER = Program(
    "sleeper", (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")
)
STUBBORN = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True);"
    " time.sleep(60)"
)


def test_what_dies_is_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        supervisor = Supervisor(tmp_path)
        supervisor.start(SLEEPER)
        first = await _pid_of(supervisor, tmp_path, starts=1)
        os.kill(first, signal.SIGKILL)
        second = await _pid_of(supervisor, tmp_path, starts=2)
        assert second != first
        assert supervisor.programs["sleeper"].restarts == 1
        await supervisor.stop({"sleeper"}, timeout_s=5.0)
        assert not _alive(second)

    asyncio.run(scenario())


def test_a_program_that_ignores_sigterm_is_killed_in_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        supervisor = Supervisor(tmp_path)
        supervisor.start(Program("sleeper", (sys.executable, "-c", STUBBORN)))
        pid = await _pid_of(supervisor, tmp_path, starts=1)
        began = time.monotonic()
        await supervisor.stop({"sleeper"}, timeout_s=0.5)
        assert 0.4 < time.monotonic() - began < 3.0
        assert not _alive(pid)

    asyncio.run(scenario())


def test_stopping_does_not_wait_for_the_pause_between_two_starts(tmp_path: Path) -> None:
    async def scenario() -> None:
        supervisor = Supervisor(tmp_path)
        supervisor.start(Program("broken", (sys.executable, "-c", "raise SystemExit(3)")))

        while supervisor.programs["broken"].restarts < 2:
            await asyncio.sleep(0.02)

        await asyncio.wait_for(supervisor.stop({"broken"}, timeout_s=5.0), 2.0)

    asyncio.run(scenario())


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
def test_programs_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom service.stack.supervisor import"
        " Program, Supervisor\nasync def main():\n    supervisor = Supervisor(Path(sys.argv[1]))\n "
        "   supervisor.start(Program('sleeper', ('sleep', '60')))\n    while not"
        " supervisor.programs['sleeper'].pid: await asyncio.sleep(0.01)\n   "
        " print(supervisor.programs['sleeper'].pid, flush=True)\n    await"
        " asyncio.sleep(60)\nasyncio.run(main())"
    )

    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        child = int(supervisor.stdout.readline())
        assert _alive(child)
        supervisor.kill()

    deadline = time.monotonic() + 5.0
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not _alive(child)


def test_a_program_that_cannot_start_is_tried_again(tmp_path: Path) -> None:
    command = tmp_path / "late"

    async def scenario() -> None:
        supervisor = Supervisor(tmp_path)
        supervisor.start(Program("sleeper", (str(command),)))
        await asyncio.sleep(0.1)
        command.write_text("#!/bin/sh\necho up\nexec sleep 60\n")
        command.chmod(0o700)
        await _pid_of(supervisor, tmp_path, starts=1)
        await supervisor.stop({"sleeper"}, timeout_s=5.0)

    asyncio.run(scenario())


def test_pauses_grow_and_are_bounded() -> None:
    assert [restart_pause_s(deaths) for deaths in (1, 2, 3)] == [0.25, 0.5, 1.0]
    assert restart_pause_s(100) == 15.0


def test_a_long_log_is_put_aside_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "sleeper.log").write_bytes(b"x" * (MAX_LOG_BYTES + 1))

    async def scenario() -> None:
        supervisor = Supervisor(tmp_path)
        supervisor.start(SLEEPER)
        await _pid_of(supervisor, tmp_path, starts=1)
        await supervisor.stop({"sleeper"}, timeout_s=5.0)

    asyncio.run(scenario())
    assert (tmp_path / "sleeper.log.1").stat().st_size > MAX_LOG_BYTES
    assert (tmp_path / "sleeper.log").read_text() == "up\n"


def test_the_log_of_a_running_program_is_bounded(tmp_path: Path) -> None:
    say = (
        "import time; print('x' * {}, flush=True); time.sleep(1); print('on', flush=True);"
        " time.sleep(60)"
    )
    script = say.format(MAX_LOG_BYTES + 1)
    log = tmp_path / "talker.log"

    async def scenario() -> None:
        supervisor = Supervisor(tmp_path, log_look_s=0.1)
        supervisor.start(Program("talker", (sys.executable, "-c", script)))

        async with asyncio.timeout(20):
            while not log.exists() or log.read_bytes()[-3:] != b"on\n":
                await asyncio.sleep(0.1)

        await supervisor.stop({"talker"}, timeout_s=5.0)

    asyncio.run(scenario())
    assert log.read_text() == "on\n"
    assert (tmp_path / "talker.log.1").stat().st_size > MAX_LOG_BYTES


async def _pid_of(supervisor: Supervisor, logs: Path, starts: int) -> int:
    """Return the program's process once it has said "up" this many times."""
    deadline = time.monotonic() + 10.0
    log = logs / "sleeper.log"

    while not log.exists() or log.read_text().count("up") < starts:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)

    pid = supervisor.programs["sleeper"].pid
    assert pid is not None
    return pid


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
