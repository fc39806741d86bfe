"""The tables of `make bench`: where they are written, and what the peers' sizes are."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.video.bench import BEGIN, END, README, write
from benchmarks.video.peers import PEERS


def test_tables_take_the_place_of_the_last_ones(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{BEGIN} -->\nold\n{END}\nafter\n")

    write(page, "| new |")
    write(page, "| newer |")

    assert page.read_text() == f"before\n{BEGIN} -->\n| newer |\n{END}\nafter\n"


def test_a_page_without_their_place_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("no tables here\n")

    with pytest.raises(ValueError, match=r"README\.md"):
        write(page, "| new |")
    assert page.read_text() == "no tables here\n"


def test_the_readme_has_their_place() -> None:
    text = README.read_text()
    assert text.count(BEGIN) == text.count(END) == 1


def test_peers_are_as_large_as_their_published_layers() -> None:
    """Counted by hand from the layers, to a tenth: layers of one channel are left out."""
    by_hand = {"GHOST": 30.6, "SimSwap-224": 48.0, "inswapper-128": 175.0}
    counted = {peer.name: peer.graph().gmacs for peer in PEERS}
    assert counted == {name: pytest.approx(gmacs, rel=0.1) for name, gmacs in by_hand.items()}
