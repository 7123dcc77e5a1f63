"""What in the documents of a Hugging Face folder is code, or names code, that loading the model runs.

Knows the keys that are known for it and what they did; must not know weights. Nothing is resolved or rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from service.catalog.chat_templates import MAX_TEMPLATE, template_danger
from service.catalog.code_names import runs_code
from service.catalog.hf_documents import Document, read_document
from service.catalog.hf_folder import Folder
from service.errors import InputError
from service.formats import Upload
from service.language import Message, msg
from service.plain import text
from service.tree import Danger, Severity

MAX_DANGERS = 100
TEMPLATE_CODE = "chat_template"
TEMPLATE_ENDING = ".jinja"

_REMOTE = msg("Loading this model with trust_remote_code runs Python code of its repository, or of one that it names.")
_ATTENTION = msg("Loading the model fetches attention code from this repository and runs it.")
_MAPPING = msg("Loading this adapter imports the module that it names, and uses what is named in it.")
_TARGET = msg("Loading by Hydra or NeMo calls what this key names, with the values beside it.")


def read(upload: Upload, folder: Folder, documents: Mapping[str, Document]) -> list[Danger]:
    """Dangers of a folder's documents: those read already, by their base names, and those read for this alone."""
    found = [danger for base, document in documents.items() for danger in of_document(document, folder.documents[base])]
    for base, name in folder.documents.items():
        if base.endswith(TEMPLATE_ENDING):
            source = upload.parts[name]
            template = source.read_at(0, min(source.size, MAX_TEMPLATE)).decode("utf-8", "replace")
            found.extend(_of_template(template, name, None))
        elif base not in documents:
            found.extend(_of_file(upload, name))
    return found[:MAX_DANGERS]


def _of_file(upload: Upload, name: str) -> Iterator[Danger]:
    """Dangers of a document that nothing else is read from; one that cannot be read runs nothing either."""
    try:
        document = read_document(upload.parts[name], upload.limits, name)
    except InputError:
        return
    yield from of_document(document, name)


def of_document(document: Document, member: str | None) -> Iterator[Danger]:
    """Dangers of one document, however deep they lie in it."""
    open_values: list[tuple[Any, str]] = [(document, "")]
    left = MAX_DANGERS
    while open_values and left:
        value, path = open_values.pop()
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            place = f"{path}/{key}"[:500]
            for danger in _of_item(key, item, place, member):
                left -= 1
                yield danger
            if isinstance(item, dict | list):
                open_values.append((item, place))


def _of_item(key: Any, item: Any, place: str, member: str | None) -> Iterator[Danger]:
    known = _KEYS.get(key)
    if known is not None and known.applies(item):
        detail = text(f"{place}: {_shown(item)}", 500)
        yield Danger(code=known.code, severity=known.severity, path=text(place, 200), member=member, detail=detail,
                     what=known.what, reference=known.reference)  # fmt: skip
    if key in ("chat_template", "template") and isinstance(item, str):
        yield from _of_template(item, member, place)


def _of_template(template: str, member: str | None, place: str | None) -> Iterator[Danger]:
    found = template_danger(template, TEMPLATE_CODE, path=place and text(place, 200), member=member)
    if found is not None:
        yield found


def _shown(item: Any) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{key}: {value}" for key, value in list(item.items())[:10])
    return str(item)


class _Known:
    """One key: when its value is a danger, and what is said then."""

    def __init__(
        self, code: str, severity: Severity, what: Message, applies: Callable[[Any], bool], reference: str | None = None
    ) -> None:
        self.code, self.severity, self.what, self.applies, self.reference = code, severity, what, applies, reference


def _is_filled(item: Any) -> bool:
    return isinstance(item, dict) and bool(item)


def _is_repository(item: Any) -> bool:
    """`owner/name`, also with a revision or a function: no name of a built-in implementation has a slash."""
    return isinstance(item, str) and "/" in item


def _names_code(item: Any) -> bool:
    """A dotted name that is no part of a model: NeMo's own configurations name its classes in the same way."""
    module, _, name = item.rpartition(".") if isinstance(item, str) else ("", "", "")
    return bool(module) and runs_code(module, name)


def _imports_code(item: Any) -> bool:
    """A module and a name in it that are no part of a model; adapters of models of one's own name theirs."""
    if not isinstance(item, dict) or not isinstance(item.get("parent_library"), str):
        return False
    return runs_code(item["parent_library"], str(item.get("base_model_class", "")))


_KEYS: Mapping[Any, _Known] = {
    "auto_map": _Known("remote_code", "medium", _REMOTE, _is_filled),
    "custom_pipelines": _Known("remote_code", "medium", _REMOTE, _is_filled),
    "trust_remote_code": _Known("remote_code", "medium", _REMOTE, lambda item: item is True, "CVE-2026-5241"),
    "_attn_implementation_internal": _Known("remote_attention", "high", _ATTENTION, _is_repository, "CVE-2026-4372"),
    "_attn_implementation": _Known("remote_attention", "high", _ATTENTION, _is_repository, "CVE-2026-4372"),
    "attn_implementation": _Known("remote_attention", "high", _ATTENTION, _is_repository, "CVE-2026-4372"),
    "auto_mapping": _Known("adapter_import", "high", _MAPPING, _imports_code),
    "_target_": _Known("hydra_target", "high", _TARGET, _names_code, "CVE-2025-23304"),
}
