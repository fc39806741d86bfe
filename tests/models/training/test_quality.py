"""The quality scorer: what it was trained to tell apart, on faces that come with the code."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.inference.finding.face_mesh import FaceMesh  # noqa: E402
from models.inference.session import SessionFactory  # noqa: E402
from models.inference.texture.face_texture import CanonicalFace  # noqa: E402
from models.networks.quality_scorer import QualityScorer, load_quality_scorer, save_quality_scorer  # noqa: E402
from models.packs.store import Pack  # noqa: E402
from models.refinement.target_bank import Target  # noqa: E402
from models.training.batch import as_tensor  # noqa: E402
from models.training.dataset import BANK, mesh_in, swap_crop_matrix, warp  # noqa: E402
from models.training.quality import SCORER, Faults  # noqa: E402
from models.training.teacher import Source, teach  # noqa: E402

BLUR_PX = 3.0


@pytest.fixture(scope="module")
def swaps(open_pack: Pack) -> list[tuple[np.ndarray, np.ndarray]]:
    """Teacher's swaps between composite people, and the same from blurred textures."""
    network = FaceMesh(SessionFactory("cpu", 1).open(open_pack.graph("face_mesh")))
    canonical = CanonicalFace.load(open_pack.canonical)
    files = [
        cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        for path in sorted(BANK.glob("*.jpg"))[::24]
    ]
    faces = [(file, mesh_in(network, file)) for file in files]
    targets = [
        Target(warp(file, m := swap_crop_matrix(mesh), 224), _moved(mesh, m))
        for file, mesh in faces
    ]
    found = []

    for (file, mesh), own, target in zip(faces, targets, targets[1:] + targets[:1], strict=True):
        texture = canonical.texture(file, mesh).pixels
        blurred = np.asarray(cv2.GaussianBlur(texture, (0, 0), BLUR_PX))
        pair = (
            teach(canonical, Source(t, own.mesh), target.crop, target.mesh)[0]
            for t in (texture, blurred)
        )
        found.append(tuple(pair))

    return found


def _moved(mesh: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return (mesh @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def test_a_blurred_teacher_scores_lower(swaps: list[tuple[np.ndarray, np.ndarray]]) -> None:
    scorer = load_quality_scorer(SCORER)
    with torch.no_grad():
        clean, blurred = (scorer(as_tensor(list(images))) for images in zip(*swaps, strict=True))

    assert bool((clean > blurred).all())
    assert float((clean - blurred).mean()) > 0.15
    assert 0 <= float(blurred.min()) <= float(clean.max()) <= 1


def test_weights_survive_their_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = QualityScorer()
    network(torch.rand(4, 3, 224, 224))  # so that the norms have statistics of their own
    save_quality_scorer(network, tmp_path / "scorer.npz")
    assert (tmp_path / "scorer.npz").stat().st_size < 1e6
    crops = torch.rand(2, 3, 224, 224)
    restored = load_quality_scorer(tmp_path / "scorer.npz")

    with torch.no_grad():
        torch.testing.assert_close(restored(crops), network.eval()(crops), atol=2e-3, rtol=0)


def test_faults_are_drawn_alone_and_together() -> None:
    rng = np.random.default_rng(0)
    drawn = [Faults.drawn(rng) for _ in range(400)]
    count = np.array([sum(v > 0 for v in (f.blur, f.few_points, f.foreign_colour)) for f in drawn])
    assert set(count) == {0, 1, 2, 3}
    assert 0.08 < (count == 0).mean() < 0.3
