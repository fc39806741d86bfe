"""The page for people who want to verify a file: no script or style from anywhere else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PAGES = Path(__file__).parents[1] / "pages"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def page() -> str:
    """Return the page's HTML."""
    return (_PAGES / "verify.html").read_text()


@cache
def script() -> str:
    """Return the page's script."""
    return (_PAGES / "verify.js").read_text()
