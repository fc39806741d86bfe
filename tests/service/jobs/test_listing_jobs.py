"""Jobs afterwards: lists of them, what became of each, and their deletion."""

from __future__ import annotations

import httpx
import pytest

from tests.service.live_service import LiveService, problem_of
from worker.contract.jobs import Problem
from worker.stores.jobs.job_records import Ending, JobReport


def test_jobs_are_listed_page_by_page(live: LiveService, client: httpx.Client, tenant: str) -> None:
    made = [live.job(client, tenant)["id"] for _ in range(5)]
    found = []
    target = "/v1/jobs?limit=2&status=queued&kind=swap_image"

    while target:
        page = client.get(target)
        found += [job["id"] for job in page.json()["data"]]
        target = page.links["next"]["url"] if "next" in page.links else None
        assert (page.json()["next_cursor"] is None) == (target is None)

    assert sorted(found) == sorted(made)
    assert client.get("/v1/jobs?status=failed").json()["data"] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("cursor=..%2F..%2Fetc", "invalid_cursor"),
        ("cursor=idn_00000000000000000000000000", "invalid_cursor"),
        ("limit=0", "invalid_parameter"),
        ("limit=9999", "invalid_parameter"),
        ("status=lost", "invalid_parameter"),
        ("kind=steal", "invalid_parameter"),
    ],
)
def test_a_bad_listing_is_a_400(client: httpx.Client, query: str, code: str) -> None:
    problem_of(client.get(f"/v1/jobs?{query}"), 400, code)


def test_a_failed_job_tells_why(live: LiveService, client: httpx.Client, tenant: str) -> None:
    job = live.job(client, tenant)
    live.fail(job["id"])
    error = client.get(job["urls"]["self"]).json()["error"]
    assert error["code"] == "no_face"
    assert error["status"] == 422


def test_deleting_a_job_removes_input_output_and_record(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    problem_of(client.delete(job["urls"]["self"]), 409, "job_not_final")
    live.finish(job["id"])
    assert client.delete(job["urls"]["self"]).status_code == 204
    problem_of(client.get(job["urls"]["self"]), 404, "not_found")
    left = [path for path in live.settings.media_dir.rglob("*") if job["id"] in str(path)]
    left += list(live.settings.media_dir.rglob(f"{job['input']['upload_id']}*"))
    assert left == []


def test_a_failed_job_has_its_outcome_and_what_became_of_each_assignment(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    job_id = client.post("/v1/swaps/image", json=body).json()["id"]
    fate = {"index": 0, "status": "left_alone", "reason": "too_small"}
    report = JobReport({"outcome": "failed", "assignments": [fate]}, {})
    error = Problem("nobody_swapped", "too_small")
    live.jobs.settle(job_id, None, Ending("failed", error=error, report=report))
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["outcome"]) == ("failed", "failed")
    assert job["error"]["code"] == "nobody_swapped"
    assert job["report"]["assignments"] == [fate]
