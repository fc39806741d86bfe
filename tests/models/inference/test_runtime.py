"""The one door to ONNX Runtime: it tells nobody anything, and says which device it chose."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.inference.errors import DeviceUnavailableError
from models.inference.runtime import CPU, choose_provider, cuda_obstacle
from models.packs.store import Pack
from tests.material import ROOT

# Threads are counted where the libraries with pools of their own are loaded and only ONNX Runtime
# is yet to come; a session of one thread adds none.
OPENS_A_SESSION = """
import os, sys, cv2, numpy
from pathlib import Path
threads = lambda: len(os.listdir("/proc/self/task"))
before = threads()
from models.inference.session import SessionFactory
SessionFactory("cpu", 1).open(Path(sys.argv[1]))
print(threads() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.parametrize("wish", [{}, {"ORT_DISABLE_TELEMETRY": "0"}])
def test_no_file_and_no_thread_of_telemetry_appears(
    wish: dict[str, str], tmp_path: Path, open_pack: Pack
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPENS_A_SESSION, str(open_pack.graph("face_mesh"))],
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": os.environ["PATH"], **wish},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stdout.strip() == "0", done.stderr
    assert list(tmp_path.rglob("*")) == []


def test_the_choice_of_auto_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    choose_provider.cache_clear()
    with caplog.at_level(logging.INFO, logger="models.inference.runtime"):
        provider = choose_provider("auto")

    (record,) = caplog.records
    assert record.message == "device chosen"
    assert record.__dict__["provider"] == provider
    assert provider != CPU or cuda_obstacle() in record.__dict__["because"]


def test_cuda_that_cannot_be_had_is_refused_with_the_reason_and_the_remedy() -> None:
    if not cuda_obstacle():
        pytest.skip("this machine has CUDA")
    with pytest.raises(DeviceUnavailableError, match="LIKENESS_DEVICE") as refusal:
        choose_provider("cuda")
    assert cuda_obstacle() in refusal.value.message
