"""Targets and tags in YAML texts, however they are written; comments and harmless ones are none."""

from __future__ import annotations

import pytest

from service.catalog.yaml_dangers import MAX_DANGERS, of_yaml


def told(content: str | bytes) -> list[tuple[str, str, str | None]]:
    """Code, severity and detail of each."""
    data = content.encode() if isinstance(content, str) else content
    return [(one.code, one.severity, one.detail) for one in of_yaml(data, "a.yaml")]


RUNS = ("hydra_target", "high", "_target_: os.system")
WAYS = [
    "_target_: os.system",
    "a: {_target_: os.system}",
    'a: {"_target_":"os.system"}',
    "a: {'_target_' : 'os.system'}",
    "? _target_\n: os.system",
    "? _target_ # a comment\n# another\n: os.system",
    "_target_:\n\n  # why\n  os.system",
    "_target_: >-\n  os.system",
    "_target_: !!str &x os.system",
    "x: &a os.system\n_target_: *a",
    "a: 'x\n# ', _target_: os.system",
    "# a comment\r_target_: os.system",
    "# a comment\u2028_target_: os.system",
    '"_targ\\x65t_": os.system',
    '"_tar\\\n  get_": os.system',
    '"\\U0000005ftarget_": "os\\u002esystem"',
]


@pytest.mark.parametrize("content", WAYS)
def test_a_target_is_found_in_each_way_of_writing_it(content: str) -> None:
    """Block and flow, quoted, escaped, on another line, by an anchor, with a tag."""
    assert told(content) == [RUNS]


def test_a_key_by_an_anchor_counts_as_what_it_stands_for() -> None:
    """The key is shown as it is written."""
    assert told("x: &k _target_\n*k : os.system") == [("hydra_target", "high", "*k: os.system")]


@pytest.mark.parametrize("order", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_other_encodings_are_read(order: str) -> None:
    """By their byte order mark, as YAML is."""
    content = "\ufeff_target_: os.system" if order == "utf-16-be" else "_target_: os.system"
    assert told(content.encode(order)) == [RUNS]


@pytest.mark.parametrize("content", ["# _target_: os.system", "a: 1 # _target_: os.system", "b: 'x' # _target_: os.x",
                                     "_target_: torch.nn.Linear", "my_target_: os.system", "_target_", "target: a.B",
                                     "a: !!python/tuple [1]", "# !!python/object/apply:os.system", "", "\\",
                                     "_target_: " + " " * 100])  # fmt: skip
def test_comments_and_harmless_names_are_none(content: str) -> None:
    """And keys that only end like one, and tags of data."""
    assert told(content) == []


def test_a_plain_target_is_told_only_where_it_runs_something() -> None:
    """Many documents have such a key; those of latent diffusion call what it names."""
    assert told("target: os.system") == [("hydra_target", "medium", "target: os.system")]
    assert told("target: ldm.models.helper") == []


CALLED = ("yaml_tag", "critical", "!!python/object/apply:os.system")
TAGS = [
    ("a: !!python/object/apply:os.system ['id']", CALLED),
    ("a: !<tag:yaml.org,2002:python/object/apply:os.system> ['id']", CALLED),
    ("%TAG ! tag:yaml.org,2002:\n---\na: !python/object/apply:os.system ['id']", CALLED),
    ("%TAG !e! tag:yaml.org,2002:python/\n---\na: !e!object/apply:os.system ['id']", CALLED),
    ("a: !!%70ython/object/apply:os.system ['id']", CALLED),
    ("!!python/object/new:subprocess.Popen [id]", ("yaml_tag", "critical", "!!python/object/new:subprocess.Popen")),
    ("!!python/object/apply:eval ['1']", ("yaml_tag", "critical", "!!python/object/apply:eval")),
    ("!!python/object:any.Thing {}", ("yaml_tag", "high", "!!python/object:any.Thing")),
    ("!!python/name:os.system ''", ("yaml_tag", "high", "!!python/name:os.system")),
    ("!!python/module:any ''", ("yaml_tag", "medium", "!!python/module:any")),
    ("!!python/object:argparse.Namespace {}", ("yaml_tag", "low", "!!python/object:argparse.Namespace")),
    ("!!python/object/apply:pathlib.PosixPath [a]", ("yaml_tag", "low", "!!python/object/apply:pathlib.PosixPath")),
]


@pytest.mark.parametrize(("content", "expected"), TAGS)
def test_tags_that_make_objects(content: str, expected: tuple[str, str, str]) -> None:
    """By any handle or spelling; how bad they are is by what they call, make or name."""
    assert told(content) == [expected]


def test_each_is_listed_once_and_grave_ones_always() -> None:
    """However many lesser ones are before."""
    lesser = "".join(f"_target_: a.B{at}\n" for at in range(MAX_DANGERS + 50))
    found = told(lesser + lesser + "_target_: os.system\n_target_: os.system\n")
    assert found[-1] == RUNS
    assert len(found) == MAX_DANGERS + 1
