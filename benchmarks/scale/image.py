"""X-1: the image is built, starts under its restrictions and does its work."""

from __future__ import annotations

import time

from benchmarks.bar import Figure, bar
from tests.image.building import build_image, missing_tools
from tests.image.composition import composition

READY_S = 15.0  # an orchestrator's patience: longer, and a rolling update takes minutes


@bar("X-1")
def image() -> Figure:
    """Seconds from the first container's start until the API is ready: the Dockerfile built by
    buildah, run as docker-compose.yml says (uid 10001, read-only, no capabilities); then a
    registration, an image and a video.
    """
    # Without buildah and podman nothing can be said, which is no success.
    if lacking := missing_tools():
        return Figure(f"{', '.join(lacking)} missing", "", f"<= {READY_S:.0f} s", False)

    began = time.monotonic()
    name = build_image()
    print(f"built {name} in {time.monotonic() - began:.0f} s", flush=True)

    began = time.monotonic()
    with composition(name) as here:
        here.await_ready()
        ready_s = time.monotonic() - began
        told = here.tour()

    for step, seconds in told["seconds"].items():
        print(f"{step}: {seconds:.1f} s {told['results'].get(step, '')}")

    return Figure(ready_s, "s until ready", f"<= {READY_S:.0f} s", ready_s <= READY_S)
