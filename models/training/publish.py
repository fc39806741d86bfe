"""Makes a run's newest averaged weights the open pack: `python -m models.training.publish main`.

Writes the committed graphs and their checksums; `python -m models pull open` then installs them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from models.export.open_pack import write_open_pack
from models.training.dataset import FaceSet
from models.training.evaluation.renders import load_student, settle_norms


def main() -> None:
    """Publish a run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", default="main")
    parser.add_argument("--folder", type=Path, default=Path("var/training"))
    found = parser.parse_args()
    # As many as the two cores that the project is developed on; the result does not depend on it.
    torch.set_num_threads(2)
    faces = FaceSet.load(found.folder / "faces")
    student = settle_norms(load_student(found.folder / "runs" / found.run)[0], faces)
    # Both networks at once: heads and generator belong together.
    write_open_pack(
        student.idn, student.iim, np.asarray(faces.embedding_mean, np.float32), size=224
    )


if __name__ == "__main__":
    main()
