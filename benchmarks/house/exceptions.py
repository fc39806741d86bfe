"""Files that may be shorter or longer than the others, each with its reason (bar H-1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SHORT: Mapping[str, Sequence[str]] = {}
LONG: Mapping[str, Sequence[str]] = {}
