"""Swap one person into every image and video of a folder.

    python batch_folder.py ada.jpg targets/ results/ --subject ada@example.org

The person is registered once, for all of them, and erased at the end unless you say --keep.
`results/report.csv` says what became of each file.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
from pathlib import Path

from likeness_client import AsyncClient, Consent, JobFailed, LikenessError

AT_ONCE = 4  # the service queues fairly; more would only wait there
TARGETS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".mp4", ".mov", ".webm", ".mkv"}


async def run(photo: Path, folder: Path, out: Path, subject: str, *, keep: bool) -> int:
    """Swap all files of `folder` into `out` and return how many failed."""
    targets = sorted(file for file in folder.iterdir() if file.suffix.lower() in TARGETS)
    out.mkdir(parents=True, exist_ok=True)
    turns = asyncio.Semaphore(AT_ONCE)

    async with AsyncClient() as client:
        identity = await client.register(photo, consent=Consent(subject))

        async def one(target: Path) -> tuple[str, str, str]:
            async with turns:
                try:
                    job = await client.swap(identity.id, target, out / target.name)
                except (JobFailed, LikenessError) as error:
                    print(f"{target.name}: {error}")
                    return target.name, "failed", str(error)

            print(f"{target.name}: done")
            return target.name, "done", job.id

        try:
            rows = await asyncio.gather(*map(one, targets))
        finally:
            if not keep:
                await client.erase(identity.id)

    with (out / "report.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "outcome", "job or reason"), *rows])

    return sum(outcome == "failed" for _, outcome, _ in rows)


def main() -> int:
    """Parse the command line; the exit status is 0 when every file was swapped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--subject", required=True, help="whose face it is, and who has agreed")
    parser.add_argument("--keep", action="store_true", help="keep the identity for later")
    asked = parser.parse_args()

    swapping = run(asked.photo, asked.folder, asked.out, asked.subject, keep=asked.keep)
    return 1 if asyncio.run(swapping) else 0


if __name__ == "__main__":
    raise SystemExit(main())
