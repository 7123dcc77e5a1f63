"""Chat templates among a GGUF file's metadata; knows the keys they stand under, not what makes one an attack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.catalog.chat_templates import template_danger, unread_template
from service.parsers.gguf import Summary, Value
from service.plain import text
from service.tree import Danger

TEMPLATE_KEY = "tokenizer.chat_template"
CODE = "gguf_chat_template"


def template_dangers(metadata: Mapping[str, Value]) -> Iterator[Danger]:
    """Templates that reach for the interpreter's internals."""
    for key, value in metadata.items():
        if not key.startswith(TEMPLATE_KEY):
            continue
        if isinstance(value, Summary):
            yield unread_template(CODE, path=text(key, 200))
        found = template_danger(value, CODE, path=text(key, 200)) if isinstance(value, str) else None
        if found is not None:
            yield found
