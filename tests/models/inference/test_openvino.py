"""OpenVINO in place of ONNX Runtime for the networks that make images: the same images, and no word
to anybody.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.errors import BadIdentityError, DeviceUnavailableError
from models.inference.openvino_runtime import OPENVINO, openvino_obstacle
from models.inference.options import FaceSelector
from models.inference.runtime import choose_provider
from models.inference.session import SessionFactory
from models.inference.swapping.selection import Assignment
from models.packs.store import Pack
from tests.material import ROOT
from tests.models.demo_media import portrait
from tests.models.inference.conftest import enrolled

LEAST_PSNR = 48.0
# Beside the real package, one that leaves a trace when it is imported: found first.
TELEMETRY = "from pathlib import Path\nPath.home().joinpath('phoned').touch()\n"
OPENS_A_GRAPH = """
import sys
from pathlib import Path
from models.inference.session import SessionFactory
network = SessionFactory("openvino", 1).open_painting(Path(sys.argv[1]))
print(network.provider, sys.modules["openvino_telemetry"])
"""
CONFINED = """
import sys
from importlib.util import find_spec
from pathlib import Path
from worker.sandbox.confinement import confine
from worker.sandbox.limits import Limits
package = Path(find_spec("openvino").origin).parent
confine(Limits(memory_bytes=4 * 2**30, file_bytes=0), readable=[Path(sys.argv[1]), package])
import numpy as np
from models.inference.session import SessionFactory
network = SessionFactory("openvino", 1).open_painting(Path(sys.argv[1]))
inputs = [np.zeros(shape, np.float32) for shape in network.input_shapes]
print(network(*inputs)["cover"].shape)
"""

usable = pytest.mark.skipif(bool(openvino_obstacle()), reason=openvino_obstacle())


@pytest.fixture(scope="module")
def fast(open_pack: Pack) -> FaceSwapEngine:
    return FaceSwapEngine.load(open_pack, device="openvino")


def run(program: str, argument: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, str(argument)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def search_path(*first: Path) -> str:
    """Return what this process imports from, for one that begins elsewhere."""
    return os.pathsep.join([*map(str, first), str(ROOT), os.environ.get("PYTHONPATH", "")])


@usable
def test_nobody_is_told_of_an_import(tmp_path: Path, open_pack: Pack) -> None:
    package = tmp_path / "packages" / "openvino_telemetry"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(TELEMETRY)
    home = tmp_path / "home"
    home.mkdir()
    path = search_path(package.parent)

    said = run(OPENS_A_GRAPH, open_pack.graph("cover"), HOME=str(home), PYTHONPATH=path)

    assert said == f"{OPENVINO} None"
    assert list(home.iterdir()) == []


@usable
def test_a_confined_child_can_use_it(open_pack: Pack) -> None:
    assert run(CONFINED, open_pack.graph("cover"), PYTHONPATH=search_path()) == "(1, 3, 112, 112)"


@usable
def test_images_are_those_of_onnx_runtime(engine: FaceSwapEngine, fast: FaceSwapEngine) -> None:
    assert fast.provider == OPENVINO
    photo = portrait("ben_neutral")
    slow, quick = (
        one.swap_frame(photo, [one_face(one)]).frame.astype(np.float64) for one in (engine, fast)
    )

    painted = (slow != photo).any(axis=2)
    error = float(np.mean((slow - quick)[painted] ** 2))
    assert painted.mean() > 0.02
    assert 10 * np.log10(255**2 / error) >= LEAST_PSNR


@usable
def test_landmarks_stay_exact(engine: FaceSwapEngine, fast: FaceSwapEngine) -> None:
    (one,), (other,) = (each.detect(portrait("cleo_neutral")) for each in (engine, fast))
    assert np.array_equal(one.landmarks, other.landmarks)


@usable
def test_identities_do_not_mix(fast: FaceSwapEngine, engine: FaceSwapEngine) -> None:
    """One compiled graph serves all: each run takes the weights of its own identity."""
    photo = portrait("ben_neutral")
    ada = one_face(fast, "ada")
    first = fast.swap_frame(photo, [ada]).frame

    fast.swap_frame(photo, [one_face(fast, "cleo")])

    assert np.array_equal(fast.swap_frame(photo, [ada]).frame, first)


@usable
def test_weights_of_another_shape_are_refused(open_pack: Pack) -> None:
    with pytest.raises(BadIdentityError):
        SessionFactory("openvino", 1).open_specialised(
            open_pack.graph("idn"), {"encoder.0.depthwise": np.zeros((1, 1, 4, 4), np.float32)}
        )


def test_where_it_cannot_be_used_the_reason_and_the_remedy_are_said() -> None:
    obstacle = openvino_obstacle()
    if not obstacle:
        assert choose_provider("openvino") == OPENVINO
        return

    with pytest.raises(DeviceUnavailableError, match="LIKENESS_DEVICE") as refusal:
        choose_provider("openvino")
    assert obstacle in refusal.value.message


def one_face(engine: FaceSwapEngine, person: str = "ada") -> Assignment:
    return Assignment(FaceSelector(), enrolled(engine, person))
