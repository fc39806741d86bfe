"""Makes a run's newest weights the packs' cover network: `python -m models.training.cover.publish`.

`python -m models pull open` then installs it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from models.export.open_pack import write_cover
from models.networks.cover_net import CoverNet


def main() -> None:
    """Publish a run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", default="cover")
    parser.add_argument("--folder", type=Path, default=Path("var/training/cover"))
    chosen = parser.parse_args()

    state = torch.load(chosen.folder / f"{chosen.run}.pt", weights_only=True)
    network = CoverNet()
    network.load_state_dict(state["network"])
    write_cover(network)


if __name__ == "__main__":
    main()
