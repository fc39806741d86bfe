"""What an operator may set for a worker: read once from the environment (prefix LIKENESS_) and
checked at start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.stores.addresses import embedded_store_url
from worker.stores.jobs.job_limits import JobLimits

MIB = 1 << 20


class JobSettings(BaseSettings):
    """How much may be in flight and how long things are kept, for service and workers (prefix
    LIKENESS_JOBS_).
    """

    model_config = SettingsConfigDict(env_prefix="LIKENESS_JOBS_", frozen=True, extra="ignore")

    max_jobs: int = Field(default=JobLimits.max_jobs, ge=1)
    max_bytes: int = Field(default=JobLimits.max_bytes, ge=1)
    tenant_jobs: int = Field(default=JobLimits.tenant_jobs, ge=1)
    tenant_bytes: int = Field(default=JobLimits.tenant_bytes, ge=1)
    tenant_running: int = Field(default=JobLimits.tenant_running, ge=1)
    tenant_stored_bytes: int = Field(default=JobLimits.tenant_stored_bytes, ge=1)
    deadline_s: float = Field(default=JobLimits.default_deadline_s, gt=0)
    # A week: the record, which outlives the result, is kept for eight days.
    result_ttl_s: float = Field(default=JobLimits.result_ttl_s, gt=0, le=7 * 86400)

    def limits(self) -> JobLimits:
        """Return these settings as the job store takes them."""
        return JobLimits(
            max_jobs=self.max_jobs,
            max_bytes=self.max_bytes,
            tenant_jobs=self.tenant_jobs,
            tenant_bytes=self.tenant_bytes,
            tenant_running=self.tenant_running,
            tenant_stored_bytes=self.tenant_stored_bytes,
            default_deadline_s=self.deadline_s,
            result_ttl_s=self.result_ttl_s,
        )


class MediaLimits(BaseSettings):
    """How large media may be (prefix LIKENESS_MAX_): read once, held to by the API and the workers.

    Every bound is checked against what a file declares, before a pixel of it is decoded.
    """

    model_config = SettingsConfigDict(env_prefix="LIKENESS_MAX_", frozen=True, extra="ignore")

    # A decoded image of 40 megapixels takes 120 MB, and the engine works on three copies of it.
    image_pixels: int = Field(default=40_000_000, ge=1)
    # Of a JPEG or HEIC, as phones take them: decoded at a half or a quarter of its sides, so that
    # no more than `image_pixels` are ever held. 108 megapixels are the most of common cameras.
    photo_pixels: int = Field(default=120_000_000, ge=1)
    image_side_px: int = Field(default=16_384, ge=1)  # WebP's own bound; JPEG's is 65,535
    image_frames: int = Field(default=2_000, ge=1)  # of an animation
    # All frames of an animation are held at once while it is written: 450 MB at this bound.
    animation_pixels: int = Field(default=150_000_000, ge=1)
    video_pixels: int = Field(default=5376 * 3024, ge=1)  # action cameras' 5.3K, 16:9
    video_side_px: int = Field(default=8192, ge=1)
    video_frames: int = Field(default=400_000, ge=1)  # two hours at 50 frames a second
    video_duration_s: float = Field(default=4 * 3600.0, gt=0)


# What is refused and how results are marked: changes of these are recorded in the audit trail.
POLICY = (
    "nudity_check",
    "age_check",
    "blocklist",
    "blocklist_requests",
    "provenance",
    "provenance_keep_days",
    "mark_strength",
    "mark_sync",
    "allow_training",
    "timestamps",
    "verify",
)


class InstallationSettings(BaseSettings):
    """What service and workers of one installation must agree about (prefix LIKENESS_)."""

    model_config = SettingsConfigDict(env_prefix="LIKENESS_", frozen=True, extra="ignore")

    data_dir: Path = Path("var")
    redis_url: str = ""  # empty: the embedded store's socket in the data directory
    store_replicas: int = Field(default=0, ge=0)  # that must have a job before it is acknowledged
    store_credentials_fd: int | None = None  # set by the supervisor for what it starts
    pack: str = "open"
    public_url: str = ""  # put before the paths in `urls`; empty keeps them relative
    packs_dir: Path | None = None
    # `auto` falls back to the CPU; `cuda` and `openvino` refuse to start without what they need.
    device: Literal["auto", "cpu", "openvino", "cuda"] = "auto"
    # Refuse to start where the kernel cannot confine the processes that decode untrusted bytes.
    require_sandbox: bool = False
    weights_bytes: int = Field(
        default=256 * MIB, ge=1 * MIB
    )  # bound of the store's cache of specialised weights

    media_limits: MediaLimits = Field(default_factory=MediaLimits)
    # Where uploads and results lie: a bucket (s3://bucket/prefix), or the data directory.
    media: str = Field(default="", pattern=r"^(s3://[^/]+(/.*)?)?$")
    # Copies of objects on this machine's disk, for the children that may not fetch them.
    media_cache_bytes: int = Field(default=8 * 1024 * MIB, ge=64 * MIB)

    # Refusals. One that is off is logged at start and shown by /readyz.
    nudity_check: Literal["on", "off"] = "on"
    age_check: Literal["on", "off"] = "on"
    blocklist: Literal["on", "off"] = "on"  # whether the never-swap list is compared with
    blocklist_requests: Literal["public", "off"] = "public"  # who may ask to be on it
    # Both marks on every result, or neither. Off is logged at start, and shown by /readyz and in
    # each job's report.
    provenance: Literal["on", "off"] = "on"
    # Three years: longer than results live by far, because copies of them travel.
    provenance_keep_days: int = Field(default=1095, ge=1)
    mark_strength: int = Field(default=1, ge=1, le=2)  # levels of luma in videos
    mark_sync: Literal["keyed", "public"] = "keyed"
    allow_training: Literal["on", "off"] = "off"  # what results say of training on them
    tsa_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = (
        ""  # RFC 3161 time-stamp authority of the signatures; empty: none
    )
    verify: Literal["public", "keyed", "off"] = "public"  # who may ask where a file comes from
    c2pa_chain: Path | None = None  # PEM: an operator's own certificate, then its issuers
    c2pa_key: Path | None = None

    def policy(self) -> dict[str, str]:
        """Return the settings of POLICY by name."""
        return {name: str(getattr(self, name)) for name in POLICY}

    @property
    def timestamps(self) -> str:
        """Whether signatures are time-stamped, without the authority's address."""
        return "on" if self.tsa_url else "off"

    @property
    def media_dir(self) -> Path:
        """Return where media are kept without a bucket; with one, where files pass through."""
        return self.data_dir / "media"

    @property
    def trust_dir(self) -> Path:
        return self.data_dir / "trust"

    @property
    def audit_dir(self) -> Path:
        return self.data_dir / "audit"

    @property
    def packs_root(self) -> Path:
        return self.packs_dir or self.data_dir / "packs"

    @property
    def store_url(self) -> str:
        """Where the store listens: the configured URL, else the embedded one's socket."""
        return self.redis_url or embedded_store_url(self.data_dir, self.store_credentials_fd)


class WorkerSettings(InstallationSettings):
    """Settings of a worker process."""

    # One: several workers on a machine use its cores better than one network does.
    inference_threads: int = Field(default=1, ge=1)
    use_cases: str = "worker.use_cases.load"  # the module whose `load` says what the child can do
    # Address space, not memory in use: models, threads and a 4K video fit, a bomb ends here.
    child_memory_bytes: int = Field(default=8 * 1024 * MIB, ge=512 * MIB)
    # Above the largest result that the limits of media allow.
    child_file_bytes: int = Field(default=16 * 1024 * MIB, ge=1)
    # A new child costs three seconds; a thousand images take minutes.
    recycle_jobs: int = Field(default=1000, ge=1)
    # Between jobs only: a job may use more for its own length.
    recycle_rss_bytes: int = Field(default=3 * 1024 * MIB, ge=1)
    refine_s: float = Field(default=240.0, gt=0, le=600)  # an attempt is ended after 900
    # Training gains from a second core; more would starve the swaps beside it.
    refine_threads: int = Field(default=2, ge=1)
    drain_s: float = Field(default=20.0, gt=0)  # a supervisor waits 30 s before it kills
    # Touched once a second from when the worker is ready, for probes that know no HTTP.
    heartbeat_file: Path | None = None
    jobs: JobSettings = Field(default_factory=JobSettings)
