"""X-3: no process of ours tells anybody anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.bar import Figure, bar
from tests.material import PACKS, ROOT

TIMEOUT_S = 900
# What telemetry of ONNX Runtime 1.32 leaves in a trace: its directory, and its way out.
DEVICE_FILE = re.compile(r"Microsoft|deviceid", re.IGNORECASE)
INTERNET = re.compile(r"sa_family=AF_INET6?, .*?(?:inet_addr\(|AF_INET6, \")\"?([0-9a-f.:]+)")
LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.|0\.0\.0\.0$")

# Without us: shows that the trace would see it. It waits for the sender's first attempt.
CONTROL = "import onnxruntime as o, sys, time; o.InferenceSession(sys.argv[1]); time.sleep(5)"
# Everything that may load ONNX Runtime outside the service: training, benchmarks, conversion.
MODULES = """
import importlib, pkgutil, sys
from pathlib import Path
import benchmarks, models
for package in (models, benchmarks):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
from models.inference.session import SessionFactory
SessionFactory().open(Path(sys.argv[1]))
"""


@bar("X-3")
def telemetry() -> Figure:
    """Look-ups, connections off the machine and device-id files of every kind of process, traced
    over a whole demo (API, children, workers), the command line, training and benchmarks.
    """
    if shutil.which("strace") is None:
        return Figure("strace is missing", "(apt-get install strace)", "0 traces", False)

    graph = str(PACKS.resolve() / "open" / "face_mesh.onnx")
    found = {
        "onnxruntime without us (control)": _traces("-c", CONTROL, graph),
        "service: API, children, workers": _traces("-m", "service.stack.demo"),
        "command line: models list": _traces("-m", "models", "list"),
        "command line: models doctor": _traces("-m", "models", "doctor"),
        "training, benchmarks, conversion": _traces("-c", MODULES, graph),
    }

    for name, traces in found.items():
        print(f"{name:<36} {len(traces):4} traces {sorted(set(traces))[:4]}")

    control = found.pop("onnxruntime without us (control)")
    if not control:
        return Figure("the control left no trace", "", "0 traces", False)

    ours = sum(len(traces) for traces in found.values())
    return Figure(ours, "traces of telemetry", "0", ours == 0)


def _traces(*arguments: str) -> list[str]:
    """Return what a Python process and its children opened or contacted that they must not."""
    with tempfile.TemporaryDirectory(prefix="lk-") as place:
        home = Path(place) / "home"
        home.mkdir()
        log = Path(place) / "trace"
        watched = ["strace", "-f", "-qq", "--seccomp-bpf", "-s", "200", "-o", str(log)]
        watched += ["-e", "trace=connect,sendto,sendmsg,sendmmsg,openat,mkdir,mkdirat"]
        environment = {
            # Without the switch of whoever measures: it is our own that is on trial.
            name: value
            for name, value in os.environ.items()
            if name != "ORT_DISABLE_TELEMETRY"
        }
        own = {
            "HOME": str(home),
            "LIKENESS_DATA_DIR": place,
            "LIKENESS_PACKS_DIR": str(PACKS.resolve()),
        }

        done = subprocess.run(
            [*watched, sys.executable, *arguments],
            cwd=ROOT,
            env=environment | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )

        if done.returncode:
            raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stdout[-2000:]}")

        return [trace for line in log.open(errors="replace") if (trace := _trace(line))]


def _trace(line: str) -> str:
    """Return the device-id file or the address off this machine in a line of strace, else ''."""
    if DEVICE_FILE.search(line):
        return line.split('"')[1]
    address = INTERNET.search(line)
    return address[1] if address and not LOOPBACK.match(address[1]) else ""
