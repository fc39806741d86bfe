"""What an untrusted file says about its own origin; to be called in a confined process only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from typing import Any, BinaryIO

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image

from worker.media.decoding_costs import check_scans
from worker.media.demuxing import open_input
from worker.media.heif.image import HeifImageFile
from worker.media.media_errors import DamagedMedia
from worker.media.media_types import INPUT_TYPES, sniff_file
from worker.provenance.credentials import Credentials, read_credentials
from worker.provenance.fingerprint import fingerprints
from worker.provenance.mark import Plane
from worker.provenance.mark_code import MarkCode
from worker.provenance.mark_reader import MarkReader, Reading, legible
from worker.provenance.names import mark_name
from worker.video.video import require_cheap

# Four places of six frames: half a second of computing, and enough for a video at half its size.
PLACES = 4
FRAMES_A_PLACE = 6
# Larger images are decoded smaller: a mark is read at a short side of 360 px anyway.
MAX_IMAGE_PIXELS = 120_000_000
DECODED_SIDE_PX = 2048
MAX_DECODED_PIXELS = 60_000_000  # of all frames of an animation that are looked at
_CHUNK = 1 << 20
# HEIF by its class: importing it is what makes Pillow know the format.
_FORMATS = ("AVIF", "BMP", "GIF", HeifImageFile.format, "JPEG", "PNG", "TIFF", "WEBP")


def examine(file: BinaryIO, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the credentials, marks and fingerprints of a file.

    `request` has the hex `keys` of marks, the PEM `anchors` above our own certificates, the serial
    numbers of these (`signers`), and whether the synchronisation is `public_sync`. What cannot be
    decoded has no marks; that is no error.
    """
    # The file's own bytes decide which decoder sees it, here as everywhere.
    media_type, _ = sniff_file(file)
    credentials = _ours_or_not(
        read_credentials(file, media_type or "", request["anchors"]), request["signers"]
    )
    planes = list(_places(file, media_type)) if media_type else []

    readers = [
        MarkReader(MarkCode(key=bytes.fromhex(key), public_sync=request["public_sync"]))
        for key in request["keys"]
    ]
    readings = [_read(reader, planes) for reader in readers]
    return {
        "sha256": _digest(file),
        "c2pa": _public(credentials),
        "made_by_likeness": credentials.generator == "Likeness",
        "mark_found": any(reading.found for reading in readings),
        "mark_ids": [
            mark_name(reading.mark_id) for reading in readings if reading.mark_id is not None
        ],
        "hashes": [fingerprints(plane) for place in planes for plane in place[:2]],
    }


def _ours_or_not(credentials: Credentials, signers: Sequence[str]) -> Credentials:
    """Call credentials of an authority's other customers valid, and only ours trusted."""
    if credentials.state == "trusted" and credentials.certificate not in signers:
        return replace(credentials, state="valid")
    return credentials


def _read(reader: MarkReader, places: Sequence[Sequence[Plane]]) -> Reading:
    if not places:
        return Reading(certainty=0.0, mark_id=None)
    # A single image may be a crop, which takes a search over scales.
    if len(places) == 1 and len(places[0]) == 1:
        return reader.read_image(places[0][0])
    return reader.read_frames(places)


def _places(file: BinaryIO, media_type: str) -> Iterator[list[Plane]]:
    """Yield luma planes: one of an image, or a few consecutive ones of each of several places."""
    demuxer = INPUT_TYPES[media_type].demuxer
    try:
        if media_type == "image/jpeg":
            check_scans(file)

        file.seek(0)
        yield from _image(file) if demuxer is None else _video(file, demuxer)
    # A damaged file is no error of the caller's: it has no readable mark.
    except (
        av.FFmpegError,
        DamagedMedia,
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ):
        return


def _image(file: BinaryIO) -> Iterator[list[Plane]]:
    # Only what can be uploaded is opened: Pillow knows formats that start programs.
    with Image.open(file, formats=_FORMATS) as image:
        # JPEG can be decoded smaller, and in grey, at a fraction of the cost.
        image.draft("L", (DECODED_SIDE_PX, DECODED_SIDE_PX))
        affordable = max(1, MAX_DECODED_PIXELS // (image.width * image.height))
        frames = min(getattr(image, "n_frames", 1), FRAMES_A_PLACE, affordable)
        planes = []

        for number in range(frames):
            image.seek(number)
            planes += _legible(np.asarray(image.convert("RGB").convert("L"), np.uint8))

    if planes:
        yield planes


def _video(file: BinaryIO, demuxer: str) -> Iterator[list[Plane]]:
    with open_input(file, demuxer) as container:
        stream = container.streams.video[0]
        for place in range(PLACES):
            if container.duration and place:
                container.seek(container.duration * place // PLACES)

            planes: list[Plane] = []
            for frame in islice(_frames(container, stream), FRAMES_A_PLACE):
                planes += _legible(_luma(frame))

            if planes:
                yield planes
            # Without a duration there is nowhere to seek to: the beginning must do.
            if not container.duration:
                return


def _legible(plane: Plane) -> list[Plane]:
    found = legible(plane)
    return [] if found is None else [found]


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    for packet in container.demux(stream):
        require_cheap(packet)
        yield from packet.decode()


def _luma(frame: av.VideoFrame) -> Plane:
    grey = frame.to_ndarray(format="gray")
    return np.asarray(cv2.convertScaleAbs(grey), np.uint8)


def _public(credentials: Credentials) -> Mapping[str, Any]:
    shown = ("state", "signer", "issued_on", "actions", "ingredients", "problems")
    return {name: value for name, value in asdict(credentials).items() if name in shown}


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
