"""Chat templates among a GGUF file's metadata; knows the keys they stand under, not what makes one an attack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.catalog.chat_templates import template_danger
from service.parsers.gguf import Value
from service.plain import text
from service.tree import Danger

TEMPLATE_KEY = "tokenizer.chat_template"
CODE = "gguf_chat_template"


def template_dangers(metadata: Mapping[str, Value]) -> Iterator[Danger]:
    """Templates that reach for the interpreter's internals."""
    for key, value in metadata.items():
        if not key.startswith(TEMPLATE_KEY) or not isinstance(value, str):
            continue
        found = template_danger(value, CODE, path=text(key, 200))
        if found is not None:
            yield found
