"""Settings of the service, read from the environment (prefix LIKENESS_) and checked at start."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from pydantic import Field

from worker.settings import InstallationSettings

MIB = 1024 * 1024


class Settings(InstallationSettings):
    """Settings of the HTTP service; names carry their units."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)

    require_consent: bool = True
    cross_origins: tuple[str, ...] = ()

    max_json_bytes: int = Field(default=2 * MIB, ge=1024)  # base64 inputs of 1 MiB fit
    max_inline_bytes: int = Field(default=MIB, ge=1024)
    max_photo_bytes: int = Field(default=25 * MIB, ge=1024)
    max_upload_bytes: int = Field(default=1024 * MIB, ge=1024)
    store_memory_bytes: int = Field(default=2048 * MIB, ge=64 * MIB)  # of the embedded store
    max_identities: int = Field(
        default=10_000, ge=1
    )  # of one tenant; each holds about 100 KiB of the store for good
    max_photos: int = Field(default=8, ge=1, le=8)

    max_connections: int = Field(default=8192, ge=16, le=32_768)
    header_timeout_s: float = Field(default=10.0, gt=0)
    body_idle_timeout_s: float = Field(default=30.0, gt=0)
    body_timeout_s: float = Field(default=900.0, gt=0)
    fetch_timeout_s: float = Field(default=30.0, gt=0)  # of an input by URL
    webhook_timeout_s: float = Field(default=15.0, gt=0)  # as Standard Webhooks recommends
    upload_ttl_s: int = Field(default=24 * 3600, ge=60)
    max_waiters: int = Field(default=512, ge=1)  # open long polls and event streams

    enrolment_timeout_s: float = Field(default=30.0, gt=0)
    enrolment_start_timeout_s: float = Field(default=60.0, gt=0)
    enrolment_memory_bytes: int = Field(default=6 * 1024 * MIB, ge=512 * MIB)
    enrolment_queue: int = Field(default=16, ge=0)  # registrations that may wait for the child
    probe_timeout_s: float = Field(default=10.0, gt=0)
    verify_memory_bytes: int = Field(default=2 * 1024 * MIB, ge=512 * MIB)
    probe_memory_bytes: int = Field(default=1024 * MIB, ge=256 * MIB)

    trusted_networks: tuple[
        IPv4Network | IPv6Network, ...
    ] = ()  # private addresses that inputs and webhooks may reach

    def policy(self) -> dict[str, str]:
        """Return the installation's policy, and whether a consent is required."""
        return {**super().policy(), "require_consent": str(self.require_consent)}
