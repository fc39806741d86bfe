"""Pages about the API: every code has one, and nothing on them comes from elsewhere."""

from __future__ import annotations

import re

import httpx
import pytest

from service.protocol.catalogue import CODES, WHAT_TO_DO
from tests.service.live_service import LiveService
from worker.failures import FailureCode


def test_every_code_says_what_to_do() -> None:
    assert WHAT_TO_DO.keys() == CODES.keys() | {str(code) for code in FailureCode}


def test_type_of_a_problem_is_the_address_of_its_page(live: LiveService) -> None:
    problem = httpx.get(f"{live.url}/v1/jobs").json()
    page = httpx.get(live.url + problem["type"])

    assert page.status_code == 200
    assert WHAT_TO_DO[problem["code"]].partition("`")[0] in page.text
    assert "/errors/no_face" in httpx.get(f"{live.url}/errors").text
    assert httpx.get(f"{live.url}/errors/none_such").status_code == 404


def test_docs_load_everything_from_here(live: LiveService) -> None:
    page = httpx.get(f"{live.url}/docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy

    places = [
        place for place in re.findall(r'(?:src|href)="([^"]+)"', page.text) if place != "data:,"
    ]
    assert len(places) >= 4
    for place in places:
        assert place.startswith("/"), place
        assert httpx.get(live.url + place).status_code == 200, place


@pytest.mark.parametrize("name", ["../app.py", "redoc.standalone.js"])
def test_docs_serve_no_other_file(live: LiveService, name: str) -> None:
    assert httpx.get(f"{live.url}/docs/{name}").status_code == 404


def test_llms_txt_names_the_path(live: LiveService) -> None:
    text = httpx.get(f"{live.url}/llms.txt").text
    assert text.startswith("# Likeness\n")
    assert "{url}" not in text
    for path in ("/v1/identities", "/v1/uploads", "/v1/swaps/image", "/v1/jobs/"):
        assert path in text
