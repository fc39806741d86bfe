"""Files as this installation and others would publish them, for the tests of verification."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import cv2
import numpy as np

from tests.material import SAMPLES
from tests.service.live_service import JPEG
from worker.provenance.fingerprint import fingerprint
from worker.provenance.manifest import Claim, sign
from worker.provenance.mark import draw_in_image
from worker.provenance.mark_code import MarkCode
from worker.provenance.names import mark_name
from worker.provenance.provenance_store import ProvenanceRecord, ProvenanceStore
from worker.provenance.trust_store import TrustStore
from worker.stores.blobs.directory_blobs import DirectoryBlobs

MARK_ID = 0x00C0FFEE


class Publisher:
    """Makes outputs as a worker of this installation would."""

    def __init__(self, data_dir: Path, folder: Path) -> None:
        self.trust = TrustStore(data_dir / "trust")
        self.records = ProvenanceStore(DirectoryBlobs(data_dir / "media"))
        self._folder = folder

    def image(self, name: str = "ben_neutral") -> bytes:
        """Return a marked, signed and recorded JPEG."""
        image = cv2.imread(str(SAMPLES / f"{name}.jpg"))
        assert image is not None
        draw_in_image(image, MarkCode(self.trust.mark_keys.newest_first()[0]).tile(MARK_ID))
        unsigned = self._folder / "unsigned.jpg"
        signed = self._folder / "signed.jpg"
        cv2.imwrite(str(unsigned), image, [cv2.IMWRITE_JPEG_QUALITY, 93])

        signer = self.trust.signer()
        claim = Claim(job="job_1", pack="open@1", version="1", mark_id=MARK_ID)
        outcome = sign(
            unsigned,
            signed,
            "image/jpeg",
            claim,
            chain=signer.chain,
            sign_claim=signer.sign,
            original=(SAMPLES / f"{name}.jpg", "image/jpeg"),
        )

        record = ProvenanceRecord(
            mark_id=mark_name(MARK_ID),
            job="job_1",
            tenant="acme",
            made_at=time.time(),
            kind="image",
            sha256=hashlib.sha256(signed.read_bytes()).hexdigest(),
            hashes=(fingerprint(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)),),
            manifest_sha256=hashlib.sha256(outcome.manifest).hexdigest(),
        )

        self.records.put(record, outcome.manifest)
        return signed.read_bytes()


def stripped(data: bytes, quality: int = 80) -> bytes:
    """Return the image encoded again, without its credentials."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def with_remote_manifest(url: str) -> bytes:
    """Return a JPEG whose XMP names a manifest elsewhere."""
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        f' xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{url}"/>'
        "</rdf:RDF></x:xmpmeta>"
    )

    payload = b"http://ns.adobe.com/xap/1.0/\0" + xmp.encode()
    segment = b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload
    return JPEG[:2] + segment + JPEG[2:]
