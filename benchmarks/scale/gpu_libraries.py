"""X-2: the GPU wheel finds its libraries, and nothing falls back to the CPU in silence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.bar import Figure, bar
from tests.material import PACKS, ROOT

INSTALL_TIMEOUT_S = 1800  # 1.6 GB of wheels
RUN_TIMEOUT_S = 120
DRIVER = "libcuda.so.1"

# What the CUDA provider and the libraries behind it need, asked of the loader by name after our
# own preloading, as it will ask for them itself.
MISSING = r"""
import ctypes, json, re, subprocess
from pathlib import Path
from models.inference.runtime import cuda_obstacle, ort
obstacle = cuda_obstacle()
site = Path(ort.__file__).parents[1]
libraries = [*site.glob("onnxruntime/capi/libonnxruntime_providers_cuda.so")]
libraries += [
    Path(line.split()[-1]) for line in open("/proc/self/maps") if "/nvidia/" in line
]
needed = set()
for library in sorted(set(libraries)):
    listing = subprocess.run(["readelf", "-d", library], capture_output=True, text=True).stdout
    needed |= set(re.findall(r"NEEDED.*\[(.+)\]", listing))
missing = []
for name in sorted(needed):
    try:
        ctypes.CDLL(name)
    except OSError:
        missing.append(name)
print(json.dumps({"obstacle": obstacle, "looked_at": len(needed), "missing": missing}))
"""
OPEN = """
import logging, sys
from pathlib import Path
from models.inference.session import SessionFactory
logging.basicConfig(level=logging.INFO, format="%(message)s %(provider)s because %(because)s")
print(SessionFactory(sys.argv[1]).open(Path(sys.argv[2])).provider)
"""
# A driver that shows a device on which nothing runs: all that a broken installation has to offer.
BROKEN_DRIVER = """
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
"""


@bar("X-2")
def gpu_libraries() -> Figure:
    """Libraries that the GPU wheel lacks besides the driver's own; what auto and cuda do without a
    driver, and with one that is broken. LIKENESS_GPU_PYTHON names an environment with the extra
    gpu, else one is made in var/gpu-venv.
    """
    python = Path(os.environ.get("LIKENESS_GPU_PYTHON") or _environment())
    with tempfile.TemporaryDirectory(prefix="lk-") as place:
        broken = _broken_driver(Path(place))
        facts = json.loads(_run(python, MISSING).stdout)
        graph = str(PACKS.resolve() / "open" / "face_mesh.onnx")
        auto, cuda = (_run(python, OPEN, device, graph) for device in ("auto", "cuda"))
        # "auto" must not fall back either: a driver that is there and broken is a fault to be told.
        deceived = [_run(python, OPEN, d, graph, libraries=broken) for d in ("auto", "cuda")]

    print(f"needed libraries looked at: {facts['looked_at']}; missing: {facts['missing']}")
    print(f"obstacle: {facts['obstacle'] or 'none'}")
    print(f"auto: {auto.stdout.strip()}; it said: {auto.stderr.strip().splitlines()[-1:]}")
    print(f"cuda: exit {cuda.returncode}: {cuda.stderr.strip().splitlines()[-1:]}")

    for name, done in zip(("auto", "cuda"), deceived, strict=True):
        print(f"{name}, broken driver: exit {done.returncode} {done.stderr.splitlines()[-1:]}")

    # The driver belongs to the machine, not to the wheel.
    lacking = [name for name in facts["missing"] if name != DRIVER]
    has_driver = not facts["obstacle"]
    said = "CUDAExecutionProvider" if has_driver else f"because {facts['obstacle']}"
    holds = (
        not lacking
        and facts["looked_at"] > 0
        and said in auto.stderr
        and (cuda.returncode == 0) == has_driver
        and all("DeviceUnavailableError" in done.stderr for done in deceived)
    )

    return Figure(len(lacking), "libraries missing besides libcuda", "0, no silent fallback", holds)


def _environment() -> Path:
    """Return the interpreter of an environment with the extra gpu, made if it is not there."""
    folder = ROOT / "var" / "gpu-venv"
    python = folder / "bin" / "python"
    stamp = folder / "installed"

    if not stamp.exists():
        print(f"making an environment with the extra gpu in {folder} (2.6 GB)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "-c", "requirements.lock", ".[gpu]"]
        subprocess.run(install, cwd=ROOT, check=True, timeout=INSTALL_TIMEOUT_S)
        _leave_one_runtime(python)
        stamp.touch()

    return python


def _leave_one_runtime(python: Path) -> None:
    """Let the runtime for the GPU take the place of the other: both are the module onnxruntime."""
    pip = [str(python), "-m", "pip"]
    # Two distributions hold one module: the one for the CPU would win.
    subprocess.run([*pip, "uninstall", "-q", "--yes", "onnxruntime"], check=True)
    subprocess.run(
        [*pip, "install", "-q", "--force-reinstall", "--no-deps", "onnxruntime-gpu"],
        check=True,
        timeout=INSTALL_TIMEOUT_S,
    )


def _broken_driver(place: Path) -> Path:
    source = place / "driver.c"
    source.write_text(BROKEN_DRIVER)
    # A library of the driver's name, found first by the loader.
    library = place / DRIVER
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return place


def _run(
    python: Path, code: str, *arguments: str, libraries: Path | None = None
) -> subprocess.CompletedProcess[str]:
    added = {"LD_LIBRARY_PATH": str(libraries)} if libraries else {}
    return subprocess.run(
        [str(python), "-c", code, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | added,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
    )
