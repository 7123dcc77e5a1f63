"""The lock holds every package at one version, and none at a version of which an advisory is known; needs no network.

`advisories.csv` lists what matters here: what a package does with a request or a file, and from which version on it no
longer does. `make audit` asks the public list of all advisories.
"""

from __future__ import annotations

import csv
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PINNED = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)==([0-9][0-9a-z.]*)")
OWN_SHELF = ("audit",)
"""Extras that are no part of any environment that is shipped or tested: they have one of their own."""


def lock() -> dict[str, Version]:
    """The pinned versions by package."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [PINNED.fullmatch(line) for line in lines if line and not line.startswith("#")]
    assert all(found), "a line of constraints.txt pins no exact version"
    return {match[1]: Version(match[2]) for match in found if match}


def advisories() -> list[dict[str, str]]:
    with (ROOT / "tests" / "advisories.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_package_is_pinned_once_and_exactly():
    """No ranges, no addresses, nothing twice; sorted, so that a change shows as one line."""
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    assert len(lock()) == len(lines)
    assert lines == sorted(lines)


def test_every_dependency_is_in_the_lock_at_a_version_that_it_allows():
    """Of the service and of every extra that has no environment of its own."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(each for name in extras if name not in OWN_SHELF for each in extras[name])]
    known = lock()
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name != "weighbridge":
            assert known[name] in requirement.specifier, requirement


@pytest.mark.parametrize("advisory", advisories(), ids=lambda found: f"{found['package']}-{found['advisory']}")
def test_no_package_is_older_than_the_version_without_the_fault(advisory):
    """For each fault that matters here."""
    found = lock().get(advisory["package"])
    assert found is None or found >= Version(advisory["fixed"]), advisory["what"]


def test_the_list_is_in_order():
    """By package, then by version; nothing twice."""
    keys = [(each["package"], Version(each["fixed"]), each["advisory"]) for each in advisories()]
    assert keys == sorted(set(keys))
