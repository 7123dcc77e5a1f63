"""Configurations beside a model that name code: JSON and YAML, by their endings, bounded for one upload.

Knows which documents are worth reading; must not know what a key means. Nothing is constructed of what they say.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from service.catalog.hf_dangers import modules_named, of_document
from service.catalog.yaml_dangers import of_yaml
from service.errors import InputError
from service.language import msg
from service.parsers import json_text
from service.plain import text
from service.source import Source
from service.tree import Danger

_YAML_ENDINGS = (".yaml", ".yml")
_YAML_NAMES = frozenset({"MLmodel"})
_LONGEST_YAML = 1 << 20
_KEYS = re.compile(
    rb"_target_|\"target\"|auto_map|custom_pipelines|custom_generate|trust_remote_code|attn_implementation|chat_template"
    rb"|_class_name|\\u00[4-7]"
)
"""What a JSON text has in it that names code; letters of keys may be written as numbers."""
_LIST = re.compile(rb"[\xef\xbb\xbf\s]*\[")
_MANIFEST = "MAR-INF/MANIFEST.json"
"""What an archive has that is for TorchServe, which runs the handler in it."""


@dataclass(slots=True)
class Configs:
    """What the documents of an upload told.

    Attributes:
        left: Bytes of YAML and of JSON that may still be looked into.
        searched: Bytes of JSON that may still be searched for keys.
        cut: Whether something was left.
        modules: Python modules that documents name.
    """

    left: int
    searched: int = 64 << 20
    cut: bool = False
    modules: set[str] = field(default_factory=set)


def configs_of(given: int) -> Configs:
    """More for a larger upload."""
    return Configs(left=(2 << 20) + given // 8)


def is_config(name: str) -> bool:
    """Whether a file is one, by its name."""
    return name.lower().endswith((".json", *_YAML_ENDINGS)) or posixpath.basename(name) in _YAML_NAMES


def is_served(name: str) -> bool:
    """Whether a member of this name shows that a server runs the Python code beside it."""
    return name == _MANIFEST


def in_config(source: Source, name: str, configs: Configs) -> list[Danger]:
    """Dangers of one document; one that cannot be read runs nothing either."""
    try:
        return _of_json(source, name, configs) if name.lower().endswith(".json") else _of_yaml(source, name, configs)
    except InputError:
        return []


def unsearched() -> Danger:
    """What is said where more configurations lie beside a model than are looked into."""
    what = msg("More configuration lies beside the model than is looked into; what the rest names is not known.")
    return Danger(code="config_unsearched", severity="low", what=what)


def _of_yaml(source: Source, name: str, configs: Configs) -> list[Danger]:
    wanted = min(source.size, _LONGEST_YAML, configs.left)
    configs.cut = configs.cut or wanted < source.size
    configs.left -= wanted
    return of_yaml(source.read_at(0, wanted), text(name))


def _of_json(source: Source, name: str, configs: Configs) -> list[Danger]:
    limits = source.meter.limits
    wanted = min(source.size, limits.spec_bytes, configs.searched)
    configs.searched -= wanted
    data = source.read_at(0, wanted)
    if not _KEYS.search(data) and not _LIST.match(data):
        configs.cut = configs.cut or wanted < min(source.size, limits.spec_bytes)
        return []
    if wanted < source.size or wanted > configs.left:
        configs.cut = True
        return []
    configs.left -= wanted
    document = json_text.parse(data, max_bytes=limits.spec_bytes, max_depth=limits.spec_depth, member=name)
    if not isinstance(document, dict | list):
        return []
    configs.modules.update(modules_named(document))
    return list(of_document(document, text(name)))
