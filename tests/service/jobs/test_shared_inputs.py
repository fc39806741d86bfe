"""D3: an upload that a job needs stays; an accepted job always has its input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.service.live_service import LiveService, problem_of


def swap(live: LiveService, client: httpx.Client, tenant: str, upload_id: str) -> httpx.Response:
    body = {"input": {"upload_id": upload_id}, "identity_id": live.identity(tenant)}
    return client.post("/v1/swaps/image", json=body)


def test_deleting_a_job_leaves_the_upload_to_others(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    upload_id = live.upload(tenant)
    first, second, third = (swap(live, client, tenant, upload_id).json() for _ in range(3))
    live.finish(first["id"])
    live.finish(second["id"])
    place = f"/v1/uploads/{upload_id}"
    assert client.delete(first["urls"]["self"]).status_code == 204  # the third one is queued
    assert client.get(place).status_code == 200
    live.finish(third["id"])
    assert client.delete(third["urls"]["self"]).status_code == 204  # the second one used it too
    assert client.get(place).status_code == 200
    assert swap(live, client, tenant, upload_id).status_code == 202


def test_the_last_job_takes_its_input_with_it(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    upload_id = live.upload(tenant)
    jobs = [swap(live, client, tenant, upload_id).json() for _ in range(2)]

    for job in jobs:
        live.finish(job["id"])
        assert client.delete(job["urls"]["self"]).status_code == 204

    problem_of(client.get(f"/v1/uploads/{upload_id}"), 404, "not_found")


def test_a_delete_during_submission_never_leaves_a_job_without_input(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    accepted = refused = 0
    with ThreadPoolExecutor(4) as pool:
        for _ in range(40):
            upload_id = live.upload(tenant)
            ended = swap(live, client, tenant, upload_id).json()
            live.finish(ended["id"])
            submitted = pool.submit(swap, live, client, tenant, upload_id)
            pool.submit(client.delete, ended["urls"]["self"]).result()
            pool.submit(client.delete, f"/v1/uploads/{upload_id}").result()
            answer = submitted.result()

            if answer.status_code == 202:
                accepted += 1
                record = live.media.stat(upload_id, tenant)
                assert live.media.blobs.exists(live.media.name(record))
                client.post(answer.json()["urls"]["cancel"])
            else:
                refused += 1
                assert answer.json()["code"] in ("not_found", "upload_in_use"), answer.text

    assert accepted + refused == 40


def test_stored_bytes_are_counted_up_and_down(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    upload_id = live.upload(tenant)
    size = live.media.stat(upload_id).bytes
    assert live.media.storage.of_tenant(tenant)[0] == size
    job = swap(live, client, tenant, upload_id).json()
    live.finish(job["id"], bytes(1000))
    assert live.media.storage.of_tenant(tenant)[0] == size + 1000
    client.delete(job["urls"]["self"])
    assert live.media.storage.of_tenant(tenant)[0] == 0
