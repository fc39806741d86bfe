"""Pages for people: to verify a file, to read the audit trail. Nothing comes from elsewhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PAGES = Path(__file__).parents[1] / "pages"

# The page may talk to this API and to nothing else, and nobody may frame it.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def page(name: str = "verify") -> str:
    """Return a page's HTML."""
    return (_PAGES / f"{name}.html").read_text()


@cache
def script(name: str = "verify") -> str:
    """Return a page's script."""
    return (_PAGES / f"{name}.js").read_text()
