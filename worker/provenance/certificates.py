"""Certificates that sign C2PA manifests: made here, or an operator's own."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from worker.errors import TrustKeyBroken

# Ten years: verifiers that were given the root should not have to change it.
ROOT_DAYS = 3650
# A year, as usual for signing certificates; renewal is automatic.
LEAF_DAYS = 365
# Validators' default configuration refuses C2PA's own key usage alone ("missing required EKU"),
# so a certificate of ours carries emailProtection beside it (measured with c2pa-rs 0.91.3).
_C2PA_SIGNING = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
# A verifier's clock may be behind ours.
_CLOCK_SKEW = datetime.timedelta(minutes=5)
_P256_BYTES = 32
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class IssuedKey:
    """A private key (PKCS #8) and its certificate, both PEM."""

    key: bytes
    certificate: bytes


@dataclass(frozen=True)
class Signer:
    """Signs with the private key; stays in a process that decodes nothing."""

    chain: str
    private: ec.EllipticCurvePrivateKey

    def sign(self, claim: bytes) -> bytes:
        """Return the ES256 signature as C2PA wants it: r and s, 32 bytes each."""
        r, s = decode_dss_signature(self.private.sign(claim, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Return whether a signature of ours belongs to a message."""
        return is_signed_by(self.private.public_key(), message, signature)

    @property
    def is_of_its_certificate(self) -> bool:
        """Whether the chain's first certificate is of this key."""
        try:
            public = x509.load_pem_x509_certificate(self.chain.encode()).public_key()
        except ValueError as error:
            raise TrustKeyBroken(f"the signing certificate cannot be read: {error}") from error
        return public == self.private.public_key()

    @property
    def key_id(self) -> str:
        """The first 16 hex digits of the certificate's SHA-256."""
        certificate = x509.load_pem_x509_certificate(self.chain.encode())
        return certificate.fingerprint(hashes.SHA256()).hex()[:16]


def is_signed_by(public: PublicKeyTypes, message: bytes, signature: bytes) -> bool:
    """Return whether an ES256 signature (r and s) of a message was made with this key."""
    if not isinstance(public, ec.EllipticCurvePublicKey):
        return False

    r = int.from_bytes(signature[:_P256_BYTES], "big")
    s = int.from_bytes(signature[_P256_BYTES:], "big")

    try:
        public.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False

    return True


def make_root(now: datetime.datetime) -> IssuedKey:
    """Return a new root of this installation, which signs its signing certificates."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = _name("Likeness root of this installation")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    certificate = (
        _builder(name, name, private.public_key(), now, ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(private, hashes.SHA256())
    )
    return IssuedKey(key=_pem(private), certificate=certificate.public_bytes(_PEM))


def make_leaf(root: IssuedKey, now: datetime.datetime) -> IssuedKey:
    """Return a new signing certificate under `root`; raises TrustKeyBroken."""
    issuer = x509.load_pem_x509_certificate(root.certificate)
    root_key = serialization.load_pem_private_key(root.key, None)

    if not isinstance(root_key, ec.EllipticCurvePrivateKey):
        raise TrustKeyBroken("root.key is not an EC key")

    private = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.EMAIL_PROTECTION, _C2PA_SIGNING]
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    certificate = (
        _builder(_name("Likeness"), issuer.subject, private.public_key(), now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(authority, critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return IssuedKey(key=_pem(private), certificate=certificate.public_bytes(_PEM))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Likeness self-signed")
    return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(
        encoding=serialization.Encoding.PEM,
        format=serialization.PrivateFormat.PKCS8,
        encryption_algorithm=serialization.NoEncryption(),
    )
