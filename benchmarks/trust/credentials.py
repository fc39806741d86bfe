"""Bars of content credentials: valid to two readers in every format, cheap to sign."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import encypher_c2pa
import numpy as np
from PIL import Image as Pillow

from benchmarks.bar import Figure, bar
from benchmarks.trust import material
from benchmarks.trust.material import median_ms
from tests.material import SAMPLES
from worker.formats import MEDIA_TYPES
from worker.provenance.credentials import read_credentials
from worker.provenance.manifest import WHOLE_FILE_BYTES, Claim, SignedFile, sign
from worker.provenance.trust_store import TrustStore

PORTRAIT = SAMPLES / "ben_neutral.jpg"
VIDEO = SAMPLES / "solo_720p30.mp4"
# As long as a real one: its length is part of what is signed and hashed.
CLAIM = Claim(job="job_1", pack="open@1", version="1", mark_id=0xCAFE, consent_receipts=["ab" * 32])
# Where C2PA defines a place inside the file; for the others the manifest is beside it.
EMBEDDED = ("jpeg", "png", "webp", "gif", "tiff", "avif", "apng", "mp4", "mov")
DETACHED = ("bmp", "webm", "mkv")
# c2pa-rs and FFmpeg name Matroska differently.
TYPES = {**MEDIA_TYPES, "mkv": "video/x-matroska"}

MIB = 1 << 20
SMALL_MP4_MIB = 100
# Beyond the size up to which a file is hashed whole, so that both ways are measured.
LARGE_MP4_MIB = 600
IMAGE_MS = 10.0
MS_A_MIB = 5.0


@dataclass(frozen=True)
class Signer:
    """Keys of an installation, and a folder for its files."""

    keys: TrustStore
    folder: Path

    def sign(self, source: Path, media_type: str) -> tuple[Path, SignedFile]:
        """Return the signed file, which is the source where its manifest is detached."""
        signer = self.keys.signer()
        path = self.folder / f"signed-{source.name}"
        # What an earlier call left must not pass for the result of this one.
        path.unlink(missing_ok=True)
        outcome = sign(
            source,
            path,
            media_type,
            CLAIM,
            chain=signer.chain,
            sign_claim=signer.sign,
            original=(PORTRAIT, "image/jpeg"),
        )
        return path if outcome.embedded else source, outcome

    def state(self, path: Path, name: str, manifest: bytes | None, *, anchored: bool) -> str:
        """Return what c2pa-rs says of a file, with our root as an anchor or without."""
        anchors = self.keys.anchors() if anchored else []
        with path.open("rb") as file:
            return read_credentials(file, TYPES[name], anchors, manifest).state


@contextmanager
def installation() -> Iterator[Signer]:
    """Yield fresh keys in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lk-") as folder:
        keys = TrustStore(Path(folder) / "trust")
        keys.prepare()
        yield Signer(keys, Path(folder))


@bar("T-1")
def every_format_is_valid_to_two_readers() -> Figure:
    """Formats whose credentials both readers accept, and refuse after one flipped bit."""
    good = 0
    with installation() as here:
        for name in EMBEDDED:
            sample = _sample(here.folder, name)
            path, _ = here.sign(sample, TYPES[name])
            said = [here.state(path, name, None, anchored=anchored) for anchored in (True, False)]
            other = _other_reader(path)
            _flip_a_bit(path, sample)
            broken = [here.state(path, name, None, anchored=True), _other_reader(path)]
            good += [*said, other, *broken] == ["trusted", "valid", "valid", "invalid", "invalid"]
            print(f"{name:5} {said}, other reader {other}; a flipped bit: {broken}", flush=True)

        for name in DETACHED:
            sample = _sample(here.folder, name)
            path, outcome = here.sign(sample, TYPES[name])
            said = [here.state(path, name, outcome.manifest, anchored=on) for on in (True, False)]
            copy = here.folder / f"copy-{path.name}"
            copy.write_bytes(path.read_bytes())
            _flip_a_bit(copy, sample)
            broken = [here.state(copy, name, outcome.manifest, anchored=True)]
            good += [*said, *broken] == ["trusted", "valid", "invalid"]
            print(f"{name:5} {said} with its detached manifest; a flipped bit: {broken}")

    asked = len(EMBEDDED) + len(DETACHED)
    return Figure(good, f"of {asked} formats", f"= {asked}", good == asked)


@bar("T-3")
def signing_is_cheap_and_needs_little_memory() -> Figure:
    """CPU ms of signing an image of 2 MP and each MB of an MP4; memory beyond the file's size."""
    with installation() as here:
        image = here.folder / "image.jpg"
        two_megapixels = Pillow.open(PORTRAIT).resize((1632, 1224))
        two_megapixels.save(image, quality=92)
        # Fifteen times, since single signatures take a few milliseconds only.
        image_ms = median_ms(lambda: here.sign(image, "image/jpeg"), 15)

        sizes = {}
        for size_mib in (SMALL_MP4_MIB, LARGE_MP4_MIB):
            video = _padded(here.folder / f"{size_mib}.mp4", size_mib)
            sizes[size_mib] = _cost(here, video)
            video.unlink()

    small_ms, small_rss = sizes[SMALL_MP4_MIB]
    large_ms, large_rss = sizes[LARGE_MP4_MIB]
    each_ms = small_ms / SMALL_MP4_MIB
    print(f"image of 2 MP {image_ms:.1f} ms; MP4 {each_ms:.1f} ms a MB; {material.cpu_name()}")
    print(f"memory: {SMALL_MP4_MIB} MB file +{small_rss} MB, {LARGE_MP4_MIB} MB +{large_rss} MB")
    print(f"{large_ms:.0f} ms for the latter; hashed whole up to {WHOLE_FILE_BYTES // MIB} MB")

    holds = image_ms <= IMAGE_MS and each_ms <= MS_A_MIB
    holds = holds and small_rss <= SMALL_MP4_MIB + 64 and large_rss <= 128
    return Figure(image_ms, "ms an image of 2 MP", "<= 10, 5 ms a MB, size + 64 / 128 MB", holds)


def _sample(folder: Path, name: str) -> Path:
    """Return a small file of a format, as ordinary writers make it."""
    path = folder / f"sample.{name}"
    if not MEDIA_TYPES[name].startswith("video/"):
        image = Pillow.open(PORTRAIT)
        if name == "apng":
            image.save(path, format="PNG", save_all=True, append_images=[image.rotate(90)])
        else:
            image.save(path, format=name.upper())
        return path

    codec = ["-c:v", "libvpx-vp9", "-deadline", "realtime"] if name == "webm" else []
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(VIDEO), "-t", "1", *codec, str(path)]
    subprocess.run(command, check=True, timeout=120)
    return path


def _other_reader(path: Path) -> str:
    """Return what a reader says that shares no code with c2pa-rs."""
    # It goes by the name, and does not know APNG's.
    named = path.with_suffix(path.suffix.replace("apng", "png"))
    if named != path:
        named.write_bytes(path.read_bytes())
    return str(encypher_c2pa.verify(str(named))["integrity"])


def _flip_a_bit(path: Path, unsigned: Path) -> None:
    """Flip one bit of what is shown: bytes of the middle of the file before it was signed."""
    shown = unsigned.read_bytes()
    middle = shown[len(shown) // 2 :][:32]
    data = bytearray(path.read_bytes())
    # By content, because signing has moved what came before it.
    data[data.index(middle) + 16] ^= 4
    path.write_bytes(data)


def _padded(path: Path, size_mib: int) -> Path:
    """Write an MP4 of this size: the sample, and a box of random bytes after it."""
    sample = VIDEO.read_bytes()
    room = size_mib * MIB - len(sample)
    draw = np.random.default_rng(3)

    with path.open("wb") as file:
        file.write(sample)
        file.write((room).to_bytes(4, "big") + b"mdat")
        for start in range(8, room, MIB):
            file.write(draw.bytes(min(MIB, room - start)))

    return path


def _cost(here: Signer, video: Path) -> tuple[float, int]:
    """Return the CPU ms and the MB of memory that signing takes in a process of its own."""
    receiving, sending = multiprocessing.Pipe(duplex=False)
    # A peak of memory is never given back within a process.
    process = multiprocessing.get_context("fork").Process(
        target=_measure, args=(here, video, sending)
    )
    process.start()
    cost: tuple[float, int] = receiving.recv()
    process.join()
    return cost


def _measure(here: Signer, video: Path, sending: Connection) -> None:
    # Beside the result: the machine's own /tmp may be too small for 600 MB.
    os.environ["TMPDIR"] = str(here.folder)
    tempfile.tempdir = None
    here.sign(PORTRAIT, "image/jpeg")  # what the library itself takes is no part of the cost
    before = _peak_mib()
    began = time.process_time()
    here.sign(video, "video/mp4")
    spent = (time.process_time() - began) * 1e3
    sending.send((spent, _peak_mib() - before))


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
