"""Documents beside a model: which are looked into, and what is said where that ends."""

from __future__ import annotations

import pytest

from service.config import Limits
from service.source import BytesSource, Meter
from service.worker.beside_configs import Configs, configs_of, in_config, is_config, is_served


def told(name: str, data: bytes, configs: Configs | None = None) -> list[tuple[str, str]]:
    """Code and severity of each danger."""
    found = in_config(BytesSource(data, Meter(Limits())), name, configs or configs_of(0))
    return [(one.code, one.severity) for one in found]


def test_documents_by_their_names() -> None:
    """JSON, YAML, and MLflow's; TorchServe's manifest says more."""
    names = ["a/b.json", "a.YAML", "a.yml", "m/MLmodel", "a.txt", "json"]
    assert [is_config(name) for name in names] == [True, True, True, True, False, False]
    assert [is_served(name) for name in ("MAR-INF/MANIFEST.json", "MANIFEST.json")] == [True, False]


@pytest.mark.parametrize(("name", "data", "expected"), [
    ("a.json", b'{"_target_": "os.system"}', [("hydra_target", "high")]),
    ("a.json", b'{"\\u005ftarget_": "os.system"}', [("hydra_target", "high")]),
    ("a.json", b'[{"path": "", "type": "mine.Module"}]', [("remote_code", "medium")]),
    ("a.json", b'{"type": "mine.Module"}', []),
    ("a.json", b'{"_target_": broken', []),
    ("a.json", b'"_target_"', []),
    ("a.yaml", b"_target_: os.system", [("hydra_target", "high")]),
    ("MLmodel", b"a: !!python/object/apply:os.system []", [("yaml_tag", "critical")]),
    ("a.yaml", b"\xff\xfe\xff", []),
])  # fmt: skip
def test_what_is_found_in_them(name: str, data: bytes, expected: list[tuple[str, str]]) -> None:
    """By their keys and tags; one that cannot be read runs nothing."""
    assert told(name, data) == expected


def test_modules_that_are_named_are_kept() -> None:
    """For Python beside the documents."""
    configs = configs_of(0)
    told("config.json", b'{"auto_map": {"AutoModel": "odd.Model"}}', configs)
    assert configs.modules == {"odd"}


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_no_more_is_looked_into_than_may_be(name: str) -> None:
    """What is left is kept in mind; a JSON text without any of the keys costs nothing of it."""
    configs = configs_of(0)
    told("x.json", b'{"a": "' + bytes(1).hex().encode() * 4_000_000 + b'"}', configs)
    assert not configs.cut
    configs.left = 10
    assert told(name, b'{"a": 1, "_target_": "os.system"}', configs) == []
    assert configs.cut
