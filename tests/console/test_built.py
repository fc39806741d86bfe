"""The console's built files: those of its sources, small, and served with a strict policy."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import httpx

from service.browsers.console import BUILT
from tests.service.live_service import LiveService, problem_of

SOURCES = Path(__file__).resolve().parents[2] / "console"
PARTS = ("index.html", "package-lock.json", "package.json", "src", "vite.config.js")


def test_the_built_files_are_those_of_the_sources() -> None:
    digest = hashlib.sha256()
    for part in PARTS:
        path = SOURCES / part
        files = (
            [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
        )
        for file in files:
            name = file.relative_to(SOURCES).as_posix()
            digest.update(name.encode() + b"\0" + file.read_bytes() + b"\0")

    stamped = (BUILT / "sources.sha256").read_text().strip()
    assert digest.hexdigest() == stamped, "the console's sources changed: run `make console`"


def test_the_first_load_is_small(live: LiveService) -> None:
    page = httpx.get(live.url, trust_env=False)
    names = re.findall(r'(?:src|href)="(/console/[^"]+)"', page.text)
    assert len(names) == 2

    bodies = [httpx.get(live.url + name, trust_env=False).content for name in names]
    assert len(page.content) + sum(map(len, bodies)) <= 150 * 1024
    assert sum(len(gzip.compress(body)) for body in bodies) <= 60 * 1024


def test_the_page_loads_nothing_from_elsewhere(live: LiveService) -> None:
    page = httpx.get(live.url, trust_env=False)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy

    for file in BUILT.iterdir():
        assert "sourceMappingURL" not in file.read_text()


def test_files_are_cached_by_their_content(live: LiveService) -> None:
    with httpx.Client(base_url=live.url, trust_env=False) as browser:
        first = browser.get("/console/index.js")
        again = browser.get("/console/index.js", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("nothing.js", "sources.sha256", "..%2Fverify.html", "%2e%2e"):
            problem_of(browser.get(f"/console/{name}"), 404, "not_found")
