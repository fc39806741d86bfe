"""What schemathesis does not know by itself: how the parts of a tus upload are sent."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/offset+octet-stream")
def part(_context: Any, value: Any) -> bytes:  # noqa: ANN401 - schemathesis's own
    """Return a generated part as it is, like any other file."""
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else str(data).encode()
