"""Chat templates in a GGUF file: programs in Jinja that a careless loader would run; knows what only an attack needs.

A template is kept as a tag and never rendered here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from service.language import msg
from service.parsers.gguf import Value
from service.plain import text
from service.tree import Danger

TEMPLATE_KEY = "tokenizer.chat_template"
_INTERNALS = re.compile(r"__(?:class|base|bases|mro|subclasses|globals|builtins|init|import|getattribute|dict|self)__")
REFERENCE = "CVE-2024-34359"
"""llama-cpp-python before 0.2.72 rendered the template of a loaded file without a sandbox."""


def template_dangers(metadata: Mapping[str, Value]) -> Iterator[Danger]:
    """Templates that reach for the interpreter's internals."""
    for key, value in metadata.items():
        if not key.startswith(TEMPLATE_KEY) or not isinstance(value, str):
            continue
        found = _INTERNALS.search(value)
        if found is not None:
            yield Danger(
                code="gguf_chat_template",
                severity="critical",
                path=text(key, 200),
                what=msg("The chat template reaches for {name}: rendered without a sandbox it runs code.",
                         name=found[0]),
                detail=text(value[max(0, found.start() - 100) : found.end() + 100], 500),
                reference=REFERENCE,
            )  # fmt: skip
