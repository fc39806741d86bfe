"""Builds the image with buildah, on the public Python image or on a Debian stand-in for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.material import ROOT

TOOLS = ("buildah", "podman", "mmdebstrap")
IMAGE = "localhost/likeness:test"
STAND_IN = "localhost/likeness-base:bookworm"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BUILD_TIMEOUT_S = 1800  # 250 MB of wheels, and whatever the index needs for them


def missing_tools() -> list[str]:
    """Return the programs that building and running need and that are not installed.

    LIKENESS_IMAGE_BASE names a base to pull; without it a stand-in is made with mmdebstrap.
    """
    needed = TOOLS[:2] if os.environ.get("LIKENESS_IMAGE_BASE") else TOOLS
    return [tool for tool in needed if shutil.which(tool) is None]


def build_image(extra: str = "cpu") -> str:
    """Build the Dockerfile with this extra and return the image's name."""
    base = os.environ.get("LIKENESS_IMAGE_BASE") or _debian_stand_in()
    with tempfile.TemporaryDirectory(prefix="lk-") as place:
        configuration = Path(place) / "pip.conf"
        configuration.write_text(_pip_configuration())
        arguments = ["--build-arg", f"BASE={base}", "--build-arg", f"EXTRA={extra}"]
        # chroot isolation needs no privileges of the machine's; Docker's format has health checks.
        arguments += ["--isolation", "chroot", "--format", "docker", "--layers"]
        arguments += ["--secret", f"id=pip,src={configuration}", "--tag", IMAGE, str(ROOT)]
        _run("buildah", "build", *arguments)

    return IMAGE


def _debian_stand_in() -> str:
    """Return a base with Debian's Python and this machine's certificates, made when first used."""
    there = subprocess.run(["podman", "image", "exists", STAND_IN], check=False)
    if there.returncode == 0:
        return STAND_IN
    with tempfile.TemporaryDirectory(prefix="lk-") as place:
        archive = Path(place) / "base.tar"
        packages = "--include=python3,python3-venv,ca-certificates"
        certificates = f"--customize-hook=copy-in {CERTIFICATES} {CERTIFICATES.parent}"
        _run("mmdebstrap", "--variant=minbase", packages, certificates, "bookworm", str(archive))
        _run("podman", "import", str(archive), STAND_IN)

    return STAND_IN


def _pip_configuration() -> str:
    """Return a pip.conf that reaches the index this machine reaches, from inside the build."""
    told = subprocess.run(
        ["python3", "-m", "pip", "config", "list"], capture_output=True, text=True
    )
    settings = dict(line.split("=", 1) for line in told.stdout.splitlines() if "=" in line)
    lines = ["[global]", "timeout = 180"]
    index = settings.get("global.index-url", "").strip("'")

    if index.startswith("http"):
        lines.append(f"index-url = {index}")
    if any(name.endswith(".cert") for name in settings):
        lines.append(f"cert = {CERTIFICATES}")

    return "\n".join([*lines, ""])


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_TIMEOUT_S,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}")
