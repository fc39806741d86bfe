"""The verification child: a file of unknown origin in, what it says about itself out.

Run by `service.trust.verification`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from service.sandbox.serving import Handle, Reply, child_limits, serve

# Marks are looked for at several scales; a large image takes a few seconds.
CPU_S = 30


def main(handle: Handle | None = None) -> None:
    """Answer verifications until the parent closes; with another `handle`, whatever it does."""
    serve(lambda: (handle or _load(), {"child": "verify"}), child_limits(int(sys.argv[2]), CPU_S))


def _load() -> Handle:
    """Import what decodes, in the confined process."""
    import av
    from PIL import Image

    from worker.video.examination import MAX_IMAGE_PIXELS, examine

    av.logging.set_level(None)
    # Pillow raises beyond twice this, before it unpacks anything.
    Image.MAX_IMAGE_PIXELS = MAX_IMAGE_PIXELS

    def verify(request: Mapping[str, Any], files: Sequence[BinaryIO]) -> Reply:
        return Reply(examine(files[0], request))

    return verify


if __name__ == "__main__":
    main()
