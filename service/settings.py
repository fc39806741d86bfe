"""Settings of the service, read from the environment (prefix LIKENESS_) and checked at start."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from pydantic import Field

from worker.settings import InstallationSettings

MIB = 1024 * 1024


class Settings(InstallationSettings):
    """Settings of the HTTP service; names carry their units."""

    # Loopback: whoever wants to be reached from elsewhere puts TLS in front, or says so.
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    # Where Prometheus finds /metrics; 0: on the API's own port, for whoever can reach that.
    metrics_port: int = Field(default=0, ge=0, le=65535)

    # On by default: a face without a consent record cannot be registered.
    require_consent: bool = True
    cross_origins: tuple[str, ...] = ()

    max_json_bytes: int = Field(default=2 * MIB, ge=1024)  # base64 inputs of 1 MiB fit
    # Base64 in JSON is held in memory as text and as bytes; larger files belong into an upload.
    max_inline_bytes: int = Field(default=MIB, ge=1024)
    # The largest photos of phones, of 108 megapixels, have up to 35 MB.
    max_photo_bytes: int = Field(default=40 * MIB, ge=1024)
    # An hour of 1080p at the bit rates of phones; the disk's share of a tenant bounds the sum.
    max_upload_bytes: int = Field(default=1024 * MIB, ge=1024)
    store_memory_bytes: int = Field(default=2048 * MIB, ge=64 * MIB)  # of the embedded store
    max_identities: int = Field(
        default=10_000, ge=1
    )  # of one tenant; each takes about 1.3 KB of the store, and 90 KB of the media
    max_photos: int = Field(default=8, ge=1, le=8)

    # Idle ones cost little; the process raises its limit of open files to match.
    max_connections: int = Field(default=8192, ge=16, le=32_768)
    # A client that is connected and silent keeps a place; 10 s covers slow mobile networks.
    header_timeout_s: float = Field(default=10.0, gt=0)
    # Between two chunks, not for the whole: slow uploads are fine, stalled ones are not.
    body_idle_timeout_s: float = Field(default=30.0, gt=0)
    # The whole body: an upload of the largest size at 10 Mbit/s takes 14 minutes.
    body_timeout_s: float = Field(default=900.0, gt=0)
    fetch_timeout_s: float = Field(default=30.0, gt=0)  # of an input by URL
    webhook_timeout_s: float = Field(default=15.0, gt=0)  # as Standard Webhooks recommends
    # A day, as results: long enough to retry after a night, short enough not to become storage.
    upload_ttl_s: int = Field(default=24 * 3600, ge=60)
    max_waiters: int = Field(default=512, ge=1)  # open long polls and event streams

    # Up to eight photos, decoded and encoded on a busy machine.
    enrolment_timeout_s: float = Field(default=30.0, gt=0)
    enrolment_start_timeout_s: float = Field(default=60.0, gt=0)
    # The pack's models and the largest allowed photo, decoded; a bomb ends at this limit.
    enrolment_memory_bytes: int = Field(default=6 * 1024 * MIB, ge=512 * MIB)
    enrolment_queue: int = Field(default=16, ge=0)  # registrations that may wait for the child
    # Headers only, so milliseconds; a crafted file ends here.
    probe_timeout_s: float = Field(default=10.0, gt=0)
    verify_memory_bytes: int = Field(default=2 * 1024 * MIB, ge=512 * MIB)
    probe_memory_bytes: int = Field(default=1024 * MIB, ge=256 * MIB)

    trusted_networks: tuple[
        IPv4Network | IPv6Network, ...
    ] = ()  # private addresses that inputs and webhooks may reach

    def policy(self) -> dict[str, str]:
        """Return the installation's policy, and whether a consent is required."""
        return {**super().policy(), "require_consent": str(self.require_consent)}
