"""A small RFC 3161 authority on loopback, for tests and bars: OpenSSL signs its tokens."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.web_server import QuietHandler, web_server

_CONFIGURATION = """
[tsa]
default_tsa = small
[small]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
certs = {folder}/ca.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
[leaf]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclass
class SmallAuthority:
    """Answers at `url`; `root` is its PEM, `asked` counts questions, `answers` may be replaced."""

    folder: Path
    url: str = ""
    asked: int = 0
    broken: bytes | None = None
    root: str = field(init=False)

    def __post_init__(self) -> None:
        name = self.folder
        (name / "tsa.cnf").write_text(_CONFIGURATION.format(folder=name))
        (name / "serial").write_text("01")

        for key in ("ca.key", "tsa.key"):
            _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name / key)

        usage = ["-addext", "keyUsage=critical,keyCertSign"]
        subject = ["-subj", "/O=Small TSA/CN=root"]
        root = ["-key", name / "ca.key", "-out", name / "ca.pem", "-days", "10"]
        _openssl("req", "-x509", "-new", *root, *subject, *usage)

        request = ["-key", name / "tsa.key", "-out", name / "tsa.csr"]
        _openssl("req", "-new", *request, "-subj", "/O=Small TSA/CN=authority")
        issuer = ["-CA", name / "ca.pem", "-CAkey", name / "ca.key", "-CAcreateserial"]
        leaf = ["-in", name / "tsa.csr", "-out", name / "tsa.pem", "-days", "9"]
        extensions = ["-extfile", name / "tsa.cnf", "-extensions", "leaf"]
        _openssl("x509", "-req", *leaf, *issuer, *extensions)
        self.root = (name / "ca.pem").read_text()

    def answer(self, query: bytes) -> bytes:
        """Return the answer to a time-stamp query."""
        self.asked += 1
        if self.broken is not None:
            return self.broken

        (self.folder / "query").write_bytes(query)
        places = ["-queryfile", self.folder / "query", "-out", self.folder / "reply"]
        _openssl("ts", "-reply", "-config", self.folder / "tsa.cnf", *places)
        return (self.folder / "reply").read_bytes()


@contextmanager
def small_authority(folder: Path) -> Iterator[SmallAuthority]:
    """Yield an authority that answers while the block runs."""
    authority = SmallAuthority(folder)

    class Handler(QuietHandler):
        def post(self) -> None:
            answer = authority.answer(self.body())
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    with web_server(Handler) as url:
        authority.url = f"{url}/"
        yield authority


def _openssl(*arguments: str | Path) -> None:
    command = ["openssl", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
