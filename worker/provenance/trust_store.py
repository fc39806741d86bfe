"""The installation's keys: a mark key, and a certificate chain that signs C2PA manifests.

trust/audit.key      the key in hex that chains the audit trail
trust/blocklist.key  the key in hex that seals the never-swap list
trust/mark.key       hex keys of 32 bytes, one a line, newest first, each with the time from which
                     marks are drawn with it (seconds since the epoch); marks are read with all
trust/chain.pem      the signing certificate, then the root
trust/signing.key    its private key (PKCS #8)
trust/signed-with.pem  every chain that ever signed here, to know what was signed before
trust/root.pem       what a validator adds to its anchors to call our manifests trusted
trust/root.key       renews the signing certificate

The directory is 0700 and its files 0600. No process that decodes untrusted media can open them.
"""

from __future__ import annotations

import datetime
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from worker.errors import TrustKeyBroken
from worker.provenance.certificates import (
    IssuedKey,
    Signer,
    is_signed_by,
    make_leaf,
    make_root,
)
from worker.provenance.key_files import MarkKeys, locked, read_keys
from worker.provenance.names import KEY_BYTES
from worker.stores.blobs.durable_files import replace_file

# A service that is off for a month still comes up with a valid certificate.
RENEW_DAYS_BEFORE = 30


@dataclass(frozen=True)
class TrustStore:
    """Keys in one directory; `chain` and `key` replace the installation's own certificate."""

    directory: Path
    chain: Path | None = None
    key: Path | None = None

    def prepare(self, now: datetime.datetime | None = None) -> None:
        """Make what is missing and renew a certificate of ours that ends within 30 days."""
        now = now or datetime.datetime.now(datetime.UTC)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Also where an operator has made it with wider rights.
        self.directory.chmod(0o700)

        with locked(self.directory):
            self._prepare(now)

    def _prepare(self, now: datetime.datetime) -> None:
        for file in (self._mark_file, self._audit_file, self._blocklist_file):
            if not file.exists():
                replace_file(file, secrets.token_hex(KEY_BYTES).encode() + b"\n")

        if self.chain is None:
            self._prepare_chain(now)

        # Last, once it is known which one signs.
        self._remember_certificate()

    def _prepare_chain(self, now: datetime.datetime) -> None:
        # A root without its key cannot renew anything: both are made anew.
        if not self._root_file.exists() or not self._root_key_file.exists():
            self._make_root(now)
            self._make_leaf(now)
        elif self._ends(now) - now < datetime.timedelta(days=RENEW_DAYS_BEFORE):
            self._make_leaf(now)

    def _remember_certificate(self) -> None:
        """Keep the chain that signs now: it must check what it signed after its renewal."""
        try:
            chain = x509.load_pem_x509_certificates((self.chain or self._chain_file).read_bytes())
        except (OSError, ValueError):
            return  # `signer` says what is wrong with it

        known = self._remembered()
        new = [certificate for certificate in chain if certificate not in known]
        if new:
            replace_file(self._signed_with_file, b"".join(map(_as_pem, [*known, *new])))

    def _remembered(self) -> list[x509.Certificate]:
        if not self._signed_with_file.exists():
            return []
        return x509.load_pem_x509_certificates(self._signed_with_file.read_bytes())

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether a signature was ever made here, also with an earlier certificate."""
        return any(
            is_signed_by(certificate.public_key(), message, signature)
            for certificate in self._remembered()
            if not _is_authority(certificate)
        )

    @property
    def mark_keys(self) -> MarkKeys:
        """The keys that marks are drawn and read with."""
        return MarkKeys(self._mark_file)

    def audit_key(self) -> bytes:
        """Return the key of the audit trail; raises TrustKeyBroken."""
        return read_keys(self._audit_file)[0]

    def blocklist_key(self) -> bytes:
        """Return the key that seals the never-swap list; raises TrustKeyBroken."""
        return read_keys(self._blocklist_file)[0]

    def signer(self) -> Signer:
        """Return the signer of manifests; raises TrustKeyBroken."""
        chain = self.chain or self._chain_file
        key = self.key or self._key_file

        try:
            certificates = chain.read_text()
            private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise TrustKeyBroken(f"the signing certificate cannot be read: {error}") from error

        # ES256 is what every reader of C2PA must support.
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.key_size != 256:
            raise TrustKeyBroken("the signing key must be an ES256 (P-256) key")

        signer = Signer(chain=certificates, private=private)
        # A mismatch would show only when somebody verifies a result.
        if not signer.is_of_its_certificate:
            raise TrustKeyBroken("the signing key does not belong to the chain's first certificate")

        return signer

    def anchors(self) -> list[str]:
        """Return the PEM authorities above every certificate that ever signed here.

        An operator's authority signs for others too: see `signers`.
        """
        return [_as_pem(one).decode() for one in self._remembered() if _is_authority(one)]

    def signers(self) -> list[str]:
        """Return the serial numbers of every certificate that ever signed here, in decimal."""
        return [str(one.serial_number) for one in self._remembered() if not _is_authority(one)]

    @property
    def _mark_file(self) -> Path:
        return self.directory / "mark.key"

    @property
    def _audit_file(self) -> Path:
        return self.directory / "audit.key"

    @property
    def _blocklist_file(self) -> Path:
        return self.directory / "blocklist.key"

    @property
    def _chain_file(self) -> Path:
        return self.directory / "chain.pem"

    @property
    def _key_file(self) -> Path:
        return self.directory / "signing.key"

    @property
    def _signed_with_file(self) -> Path:
        return self.directory / "signed-with.pem"

    @property
    def _root_file(self) -> Path:
        return self.directory / "root.pem"

    @property
    def _root_key_file(self) -> Path:
        return self.directory / "root.key"

    def _ends(self, now: datetime.datetime) -> datetime.datetime:
        try:
            return x509.load_pem_x509_certificate(self._chain_file.read_bytes()).not_valid_after_utc
        except (OSError, ValueError):
            return now  # no certificate, or half of one: made anew

    def _make_root(self, now: datetime.datetime) -> None:
        root = make_root(now)
        replace_file(self._root_key_file, root.key)
        replace_file(self._root_file, root.certificate)

    def _make_leaf(self, now: datetime.datetime) -> None:
        root = IssuedKey(
            key=self._root_key_file.read_bytes(), certificate=self._root_file.read_bytes()
        )
        leaf = make_leaf(root, now)
        replace_file(self._key_file, leaf.key)
        replace_file(self._chain_file, leaf.certificate + root.certificate)


def _as_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
