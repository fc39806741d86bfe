"""A photo booth: a visitor's photo into every scene of a folder.

    python photo_booth.py visitor.jpg scenes/ prints/ --visitor "guest 17"

Each call sends photo, consent and scene in one form and gets the image back. The service keeps
nothing of the face: the identity that it makes for the call is erased before the answer is sent.
"""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import httpx

SCENES = {".jpg", ".jpeg", ".png", ".webp"}


def shoot(client: httpx.Client, photo: Path, scene: Path, visitor: str, prints: Path) -> str:
    """Write the visitor in one scene to `prints` and return what to tell them."""
    consent = {
        "subject": visitor,
        "basis": "consent",
        "scope": ["image"],
        "granted_at": datetime.now(UTC).isoformat(),
    }
    answer = client.post(
        "/v1/swaps/image",
        headers={"Accept": "image/*", "Prefer": "wait=60"},
        files={
            "source": (photo.name, photo.read_bytes(), "application/octet-stream"),
            "target": (scene.name, scene.read_bytes(), "application/octet-stream"),
        },
        data={"consent": json.dumps(consent), "options": json.dumps({"preset": "natural"})},
    )

    if answer.is_error:
        return f"{scene.name}: {answer.json()['detail']}"
    if not answer.headers["content-type"].startswith("image/"):
        return f"{scene.name}: the service is busy; try again"

    (prints / scene.name).write_bytes(answer.content)
    return f"{scene.name}: done"


def main() -> int:
    """Parse the command line; the exit status is 0 when every scene was printed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("prints", type=Path)
    parser.add_argument("--visitor", required=True, help="who has agreed to be photographed")
    asked = parser.parse_args()
    asked.prints.mkdir(parents=True, exist_ok=True)
    scenes = sorted(file for file in asked.scenes.iterdir() if file.suffix.lower() in SCENES)

    with httpx.Client(
        base_url=os.environ["LIKENESS_URL"],
        headers={"Authorization": f"Bearer {os.environ['LIKENESS_API_KEY']}"},
        timeout=90.0,
    ) as client:
        told = [shoot(client, asked.photo, one, asked.visitor, asked.prints) for one in scenes]

    print("\n".join(told))
    return 0 if all(line.endswith(": done") for line in told) else 1


if __name__ == "__main__":
    raise SystemExit(main())
