"""Every key of the store has one name and one owner."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator

import pytest

from tests.material import ROOT
from worker.stores.keys import FAMILIES, lua_names

KEYS = ROOT / "worker" / "stores" / "keys.py"
LUA = ROOT / "worker" / "stores" / "lua"


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Return the modules of the product, by name."""
    for package in ("service", "worker", "models"):
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name, ast.parse(path.read_text())


def test_keys_are_named_in_one_place_only() -> None:
    strays = [
        f"{name}:{node.lineno} {node.value!r}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value.startswith("lk:") and name != "worker.stores.keys"
    ]
    strays += [
        f"{path.name} {line}"
        for path in LUA.glob("*.lua")
        for line in path.read_text().splitlines()
        if "lk:" in line
    ]
    assert strays == []


def test_only_its_owner_uses_a_family() -> None:
    imported = {
        (alias.name, name)
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "worker.stores.keys"
        for alias in node.names
        if alias.name in FAMILIES
    }
    foreign = sorted((key, name) for key, name in imported if FAMILIES[key].owner != name)
    assert foreign == []


def test_no_two_families_share_a_name_and_each_has_an_owner() -> None:
    patterns = [family.pattern for family in FAMILIES.values()]
    assert len(set(patterns)) == len(patterns)
    for name, family in FAMILIES.items():
        assert importlib.util.find_spec(family.owner), name
        assert family.ends, name


def test_every_family_is_used() -> None:
    scripts = "".join(path.read_text() for path in LUA.glob("*.lua"))
    in_scripts = {name.upper() for name in re.findall(r"\bkey\.(\w+)\(", scripts)}
    in_python = {
        node.id for _, tree in modules() for node in ast.walk(tree) if isinstance(node, ast.Name)
    }
    assert set(FAMILIES) - in_scripts - in_python == set()


def test_scripts_get_the_names_they_ask_for() -> None:
    names = lua_names({"job", "line", "job_events"})
    assert "job = function(id0) return 'lk:job:' .. id0 end" in names
    assert "line = function(id0, id1) return 'lk:line:' .. id0 .. ':' .. id1 end" in names
    assert "job_events = function(id0) return 'lk:job:' .. id0 .. ':events' end" in names


def test_a_name_that_is_no_family_is_refused() -> None:
    with pytest.raises(KeyError, match="no such family"):
        lua_names({"jobs"})
