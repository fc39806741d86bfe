"""`make bench`: what swapping a face adds to a transcode, by video, size and runtime, and beside
other ways of doing it. Writes the two tables that README shows.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bar import Figure, bar
from benchmarks.video.costs import Cost, Measured, in_a_child, measured, use_two_cores
from benchmarks.video.peers import PEERS
from benchmarks.video.solo_video import FRAMES
from benchmarks.video.ways import naive, with_peer
from models.inference.openvino_runtime import openvino_obstacle
from models.inference.runtime import Device
from tests.material import ROOT

README = ROOT / "README.md"
BEGIN = "<!-- make bench writes from here"
END = "<!-- to here -->"
GRAIN = 4.0  # levels: what a phone's sensor leaves indoors
RUNTIMES: dict[Device, str] = {"cpu": "", "openvino": " with OpenVINO"}
OUR_GMACS = 0.182  # what `make bar BAR=M-1` counts of both networks that run for a face


@dataclass(frozen=True)
class Video:
    """The solo video at a height, clean or grainy; large ones are shorter."""

    height: int
    grain: float = 0.0
    frames: int = FRAMES

    @property
    def name(self) -> str:
        return f"{self.height}p, {'grainy' if self.grain else 'clean'}"


VIDEOS = (
    Video(720),
    Video(1080),
    Video(720, GRAIN),
    Video(1080, GRAIN),
    Video(2160, frames=30),
)


@bar("bench")
def what_swapping_a_video_costs() -> Figure:
    """Frames per second and CPU milliseconds a frame on two cores, by video and by way."""
    devices = _devices()
    # Each in a process of its own, with a worker's allocator.
    costs = {
        video: in_a_child(measured, video.height, 2, video.grain, devices, video.frames)
        for video in VIDEOS
    }
    ways = in_a_child(_ways)
    tables = f"{_machine()}\n\n{_table_of_videos(costs, devices)}\n\n{_table_of_ways(costs, ways)}"

    print(f"\n{tables}\n")
    write(README, tables)
    clean = costs[VIDEOS[0]]

    return Figure(
        clean.added_ms("cpu") / clean.transcode.cpu_ms,
        "x the CPU of a transcode added at 720p",
        "a table, no bar",
        holds=True,
    )


def write(page: Path, tables: str) -> None:
    """Put the tables between the page's two marks."""
    text = page.read_text()
    head, _, rest = text.partition(BEGIN)
    line, _, body = rest.partition("\n")
    _, end, tail = body.partition(END)
    if not end:
        raise ValueError(f"{page.name} has no place for the tables")

    page.write_text(f"{head}{BEGIN}{line}\n{tables}\n{END}{tail}")


def _devices() -> tuple[Device, ...]:
    obstacle = openvino_obstacle()
    if obstacle:
        print(f"without OpenVINO: {obstacle}")
        return ("cpu",)
    return ("cpu", "openvino")


def _ways() -> dict[str, tuple[float, Cost]]:
    """Return multiply-adds in G and the cost of other ways of swapping the clean video at 720p."""
    use_two_cores()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways = {"naive: each frame detected, whole frames pasted": (OUR_GMACS, naive(folder))}
        for peer in PEERS:
            ways[f"our pipeline, a generator of {peer.name}'s size"] = with_peer(folder, peer)

        return ways


def _table_of_videos(costs: dict[Video, Measured], devices: Sequence[Device]) -> str:
    """Return each video's transcode, and what one face adds to it with each runtime."""
    head = ["one face swapped", "transcode: fps", "CPU ms"]
    for device in devices:
        name = RUNTIMES[device]
        head += [f"swap{name}: fps", "CPU ms added", "x transcode"]

    rows = []
    for video, cost in costs.items():
        row = [video.name, _fps(cost.transcode), f"{cost.transcode.cpu_ms:.1f}"]
        for device in devices:
            added_ms = cost.added_ms(device)
            row += [_fps(cost.swaps[device]), f"{added_ms:.1f}"]
            row.append(f"{added_ms / cost.transcode.cpu_ms:.2f}")
        rows.append(row)

    return _markdown(head, rows)


def _table_of_ways(costs: dict[Video, Measured], ways: dict[str, tuple[float, Cost]]) -> str:
    """Return the clean 720p video by way of swapping it; the transcode is the limit."""
    clean = costs[VIDEOS[0]]
    shown = {"transcode alone, the limit": (0.0, clean.transcode)}
    shown |= {
        f"**Likeness**{RUNTIMES[device]}": (OUR_GMACS, cost) for device, cost in clean.swaps.items()
    }
    shown |= ways
    rows = [
        [
            name,
            f"{gmacs:.3g}" if gmacs else "",
            _fps(cost),
            f"{cost.cpu_ms:,.0f}",
            f"{cost.cpu_ms / clean.transcode.cpu_ms:.1f}",
        ]
        for name, (gmacs, cost) in shown.items()
    ]

    return _markdown(["720p, clean", "G multiply-adds a face", "fps", "CPU ms", "x"], rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fps(cost: Cost) -> str:
    return f"{1e3 / cost.wall_ms:.1f}"


def _machine() -> str:
    """Return the processor's name, and that two cores of it are used."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    kinds = [kind for kind in ("avx2", "avx512f", "amx_bf16") if any(kind in one for one in lines)]

    return f"{(names or [platform.processor()])[0]} ({', '.join(kinds)}), two cores, no GPU."
