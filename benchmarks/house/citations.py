"""H-5: whatever the code or a document points to is in the repository, and every bar is listed."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bar import Figure, all_bars, bar
from benchmarks.house.tree import ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
DOCUMENT = re.compile(r"[\w./-]+\.md\b")
SECTION = re.compile(r"docs/(\w+)\.md (\d+)\b")
NUMBERED_HEADING = re.compile(r"^## (\d+)\.", re.MULTILINE)
# R marks what is measured with refined identities, as Q-10R.
ROW = re.compile(r"^\| ([A-Z]+-\d+R?) \|", re.MULTILINE)

# Whatever may say "see docs/...": code, and what builds and deploys it.
CITING = ("*.py", "*.lua", "*.toml", "*.yml", "*.yaml", "Makefile", "Dockerfile")


# Not an acceptance threshold: `make bench` prints the table of the README.
TABLES = {"bench", "stages"}


@bar("H-5")
def citations_resolve() -> Figure:
    """Links, documents and sections that do not exist; bars without one row in docs/bars.md."""
    lost = [*lost_links(), *lost_documents(), *lost_sections()]
    unlisted = sorted(bars_without_one_row())

    for line in lost:
        print(line)
    for name in unlisted:
        print(f"docs/bars.md has not one row for {name}")

    return Figure(
        f"{len(lost)} citations, {len(unlisted)} of {len(all_bars())} bars",
        "",
        "0 and 0",
        not lost and not unlisted,
    )


def tracked(*patterns: str) -> list[Path]:
    """Return the files under version control, new ones included, that still exist."""
    # Asked of git, so that what is built or downloaded here cites nothing.
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def lost_links() -> Iterator[str]:
    """Yield the links of documents that lead nowhere inside the repository."""
    for document in tracked("*.md"):
        for target in LINK.findall(document.read_text()):
            # Pages of other sites cannot be checked without the network, and change without us.
            outside = re.match(r"https?:|mailto:|#", target)
            if not outside and not (document.parent / target.split("#")[0]).exists():
                yield f"{document.relative_to(ROOT)}: links to {target}"


def lost_documents() -> Iterator[str]:
    """Yield the documents that code names and the repository does not have."""
    for source in tracked(*CITING):
        # The site's own pages are made when it is built, which fails where one is missing.
        if source.name == "mkdocs.yml":
            continue

        for name in DOCUMENT.findall(source.read_text()):
            # From the top, from beside the file, or by its bare name in docs/.
            places = (ROOT, source.parent, ROOT / "docs")
            if not any((place / name).exists() for place in places):
                yield f"{source.relative_to(ROOT)}: names {name}"


def lost_sections() -> Iterator[str]:
    """Yield the numbered sections that code cites and their document does not have."""
    for source in tracked("*.py"):
        for stem, number in SECTION.findall(source.read_text()):
            document = ROOT / "docs" / f"{stem}.md"
            # A document that is missing is reported as such; here it has no sections.
            headings = NUMBERED_HEADING.findall(document.read_text()) if document.exists() else []
            if number not in headings:
                yield f"{source.relative_to(ROOT)}: cites {stem}.md {number}"


def bars_without_one_row() -> set[str]:
    """Return the bars that docs/bars.md lists not at all or twice, and rows without a bar."""
    rows = Counter(ROW.findall((ROOT / "docs" / "bars.md").read_text()))
    bars = all_bars().keys() - TABLES
    return {name for name in bars | rows.keys() if rows[name] != 1 or name not in bars}
