"""What an operator may set for a worker: read once from the environment (prefix LIKENESS_) and checked at start."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1 << 20


class WorkerSettings(BaseSettings):
    """Settings of a worker process; the first five are the service's too."""

    model_config = SettingsConfigDict(env_prefix="LIKENESS_", frozen=True, extra="ignore")

    data_dir: Path = Path("var")
    redis_url: str = ""  # empty: the embedded store's socket in the data directory
    pack: str = "open"
    packs_dir: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"

    inference_threads: int = Field(default=1, ge=1)
    use_cases: str = "worker.use_cases"  # the module whose `load` says what the child can do
    child_memory_bytes: int = Field(default=8 * 1024 * MIB, ge=512 * MIB)
    child_file_bytes: int = Field(default=16 * 1024 * MIB, ge=1)
    recycle_jobs: int = Field(default=1000, ge=1)
    recycle_rss_bytes: int = Field(default=3 * 1024 * MIB, ge=1)
    refine_s: float = Field(default=240.0, gt=0, le=600)  # an attempt is ended after 900
    refine_threads: int = Field(default=2, ge=1)
    drain_s: float = Field(default=20.0, gt=0)  # a supervisor waits 30 s before it kills
    weights_bytes: int = Field(default=256 * MIB, ge=1 * MIB)

    @property
    def media_dir(self) -> Path:
        return self.data_dir / "media"

    @property
    def packs_root(self) -> Path:
        return self.packs_dir or self.data_dir / "packs"

    @property
    def store_url(self) -> str:
        """Where the store listens: the configured URL, else the embedded one's socket."""
        return self.redis_url or f"unix://{(self.data_dir / 'run' / 'valkey.sock').resolve()}"
