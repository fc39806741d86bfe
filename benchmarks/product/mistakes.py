"""E-2: what people do wrong, and whether one sentence tells them what to do."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from benchmarks.bar import Figure, bar
from benchmarks.product.command import Said, likeness
from tests.material import ROOT, SAMPLES

ADA = SAMPLES / "ada_neutral.jpg"
BEN = SAMPLES / "ben_neutral.jpg"
VIDEO = SAMPLES / "solo_720p30.mp4"
CONSENT = ("--consent", "ada@example.org")
# The head of a photo as phones take them; nothing of it is decoded.
JPEG_XL = b"\xff\x0a" + bytes(64)


@dataclass(frozen=True)
class Mistake:
    """What was done, and what the sentence has to name: the thing, and the way out."""

    name: str
    arguments: tuple[str | Path, ...]
    names: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@bar("E-2")
def mistakes() -> Figure:
    """Common mistakes whose answer is not one sentence with the remedy."""
    with tempfile.TemporaryDirectory() as name, _taken_port() as port:
        made = _mistakes(Path(name), port)
        wrong = [mistake.name for mistake in made if not _is_answered(mistake)]

    print(f"not answered as they should be: {', '.join(wrong) or 'none'}")
    return Figure(len(wrong), f"of {len(made)} mistakes", "0 of at least 15", not wrong)


def _mistakes(folder: Path, port: int) -> list[Mistake]:
    jpeg_xl = folder / "photo.jxl"
    jpeg_xl.write_bytes(JPEG_XL)
    empty = folder / "empty.mp4"
    empty.touch()
    cut = folder / "cut.mp4"
    # The header is whole: it is the frames that are missing, as after a broken download.
    cut.write_bytes(VIDEO.read_bytes()[:5000])
    plain = folder / "grey.png"
    Image.new("RGB", (320, 320), "grey").save(plain)
    two = folder / "two.png"
    _side_by_side(two)
    out = folder / "out.jpg"
    # An empty data directory, so that neither pack nor service is found.
    nowhere = {"LIKENESS_DATA_DIR": str(folder / "data")}

    return [
        Mistake("port taken", ("up", "--port", str(port)), (str(port), "--port")),
        Mistake("port out of range", ("up", "--port", "99999"), ("--port", "65535")),
        Mistake("unknown option", ("swap", "--foo"), ("--foo", "--help")),
        Mistake("unknown command", ("swop",), ("swop", "--help")),
        Mistake("bad setting", ("up",), ("LIKENESS_DEVICE", "cuda"), {"LIKENESS_DEVICE": "gpu"}),
        Mistake("list expected", ("up",), ("CROSS_ORIGINS", "["), {"LIKENESS_CROSS_ORIGINS": "x"}),
        Mistake(
            "no pack", ("swap", ADA, BEN, out, *CONSENT), ("likeness packs pull open",), nowhere
        ),
        Mistake("no service", ("keys", "list"), ("likeness up",), nowhere),
        Mistake("unknown scope", ("keys", "create", "--scopes", "all"), ("all", "jobs:write")),
        Mistake("two files", ("swap", ADA, out), ("TARGET", "OUT")),
        Mistake("no such file", ("swap", ADA, "no.mp4", out, *CONSENT), ("no.mp4", "check")),
        Mistake("JPEG XL", ("swap", jpeg_xl, BEN, out, *CONSENT), ("JPEG XL", "PNG")),
        Mistake("a document", ("analyse", ROOT / "README.md"), ("README.md", "accepted")),
        Mistake("a video as source", ("swap", VIDEO, BEN, out, *CONSENT), ("video", "photos")),
        Mistake("two faces", ("swap", two, BEN, out, *CONSENT), ("face", "crop")),
        Mistake("no face", ("swap", plain, BEN, out, *CONSENT), ("face", "use an image")),
        Mistake("nobody to swap", ("swap", ADA, plain, out, *CONSENT), ("face", "use an image")),
        Mistake("no consent", ("swap", ADA, BEN, out), ("consent", "--consent")),
        Mistake("odd ending", ("swap", ADA, BEN, folder / "a.xyz", *CONSENT), ("a.xyz", ".jpg")),
        Mistake("no folder", ("swap", ADA, BEN, folder / "x" / "a.jpg", *CONSENT), ("make it",)),
        Mistake("result over target", ("swap", ADA, BEN, BEN, *CONSENT), ("another name",)),
        Mistake("empty file", ("analyse", empty), ("empty", "check")),
        Mistake("cut file", ("analyse", cut), ("cut.mp4", "cannot be used")),
        Mistake(
            "nobody of that name",
            ("swap", ADA, BEN, out, *CONSENT, "--person", "p9"),
            ("likeness analyse",),
        ),
        Mistake("no key", ("jobs", "list", "--url", f"http://127.0.0.1:{port}"), ("--key",)),
        Mistake(
            "server not reachable",
            ("jobs", "list", "--url", "http://127.0.0.1:9", "--key", "lk_a_b"),
            ("http://127.0.0.1:9", "likeness up"),
        ),
    ]


def _is_answered(mistake: Mistake) -> bool:
    said = likeness(*mistake.arguments, environment=mistake.environment)
    # All of it: one sentence among warnings of libraries is not one sentence.
    lines = said.err.strip().splitlines()
    print(f"{mistake.name}: {lines[-1] if lines else '(nothing)'}")

    return _is_one_sentence(said, lines) and all(name in lines[-1] for name in mistake.names)


def _is_one_sentence(said: Said, lines: list[str]) -> bool:
    # On either stream, since a child of the command may print its own.
    is_traceback = "Traceback" in said.err + said.out
    return (
        said.status != 0 and len(lines) == 1 and lines[0].startswith("error: ") and not is_traceback
    )


def _side_by_side(file: Path) -> None:
    ada = Image.open(ADA)
    ben = Image.open(BEN).resize(ada.size)
    both = Image.new("RGB", (2 * ada.width, ada.height))
    both.paste(ada, (0, 0))
    both.paste(ben, (ada.width, 0))
    both.save(file)


@contextmanager
def _taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
