"""H-3: a fact is said in one place, and a limit that an operator raises holds from end to end."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.bar import Figure, bar
from benchmarks.house.tree import PACKAGES, PRODUCT, ROOT, Source, sources

TIMEOUT_S = 300.0  # two stacks start, one after the other

# A real API and a real worker, both with the raised limit; and both with the one they ship with.
RAISED_LIMIT = "tests/system/test_raised_limit.py"


@dataclass(frozen=True)
class Fact:
    """A fact that once stood in several files; `pattern` finds where it is defined.

    `homes` is how many files may define it.
    """

    name: str
    pattern: str
    homes: int = 1
    packages: Sequence[str] = PRODUCT


# Each was found twice or more often when the rooms were drawn; a new copy shows here.
FACTS = (
    Fact("how many pixels and frames media may have", r"\b\w+_pixels: int = "),
    Fact("which bytes are which format", r"def sniff\("),
    Fact("which demuxer reads a format", r'InputType\("'),
    Fact("what an image's header says", r"class ImageHeader\b"),
    Fact("which output formats there are", r"^VIDEO_FORMATS\b|^OUTPUT_FORMATS\b|^FORMATS\b"),
    Fact("names of failures", r"class FailureCode\b"),
    # The upload's and the job's name for one failure, before they were one.
    Fact("old names of failures", r'"(input_unreadable|unsupported_media|too_large)"', homes=0),
    Fact("weights of luma", r"\.299, \.?0?\.587|0\.299, 0\.587"),
    Fact("how many points a mesh has", r"^\w+ = 468\b"),
    Fact("the side of the template", r"^\w+ = 224\b"),
    Fact("the side of dlib's chip", r"^CHIP_SIZE = "),
    Fact("making the next batch meanwhile", r"ThreadPoolExecutor\(1\)", packages=("models",)),
    Fact("a clock that tests set", r"class \w*Clock\b", packages=PACKAGES),
    Fact("a store server of tests", r"^class StoreServer\b", packages=PACKAGES),
    Fact("which pack an evaluation measures", r"^    parser.*--pack\b.*open", packages=("models",)),
    Fact("appending to a table", r"csv\.(Dict)?[wW]riter\(", packages=("models",)),
)


@bar("H-3")
def facts_have_one_home() -> Figure:
    """Facts defined in more files than one, and tests of a raised limit that fail."""
    files = list(sources())
    spread = []

    for fact in FACTS:
        places = [place for source in files for place in defined(fact, source)]
        # Several lines of one file are one home: a class and its default, say.
        homes = {place.partition(":")[0] for place in places}
        print(f"{fact.name}: {', '.join(places) or 'nowhere'}")

        if len(homes) > fact.homes:
            spread.append(fact.name)

    limit_holds = raised_limit_holds()
    print(f"a raised limit {'holds' if limit_holds else 'does not hold'} from upload to result")
    return Figure(
        f"{len(spread)} of {len(FACTS)} facts, limit {'holds' if limit_holds else 'broken'}",
        "",
        "0, holds",
        not spread and limit_holds,
    )


def defined(fact: Fact, source: Source) -> Iterator[str]:
    """Yield the places of a file that define the fact."""
    if source.package not in fact.packages:
        return

    for number, line in enumerate(source.lines, start=1):
        if re.search(fact.pattern, line):
            yield f"{source.path}:{number}"


def raised_limit_holds() -> bool:
    """Run the tests that send an image over the shipped limit through a stack with a raised one."""
    outcome = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", RAISED_LIMIT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    print(outcome.stdout[-1500:])
    return outcome.returncode == 0
