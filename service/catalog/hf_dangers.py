"""What in the documents of a Hugging Face folder is code, or names code, that loading the model runs.

Knows the keys that are known for it and what they did; must not know weights. Nothing is resolved or rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from service.catalog import torch_globals
from service.catalog.chat_templates import MAX_TEMPLATE, template_danger
from service.catalog.code_names import runs_code
from service.catalog.hf_documents import Document, read_document
from service.catalog.hf_folder import Folder
from service.catalog.hydra_targets import severity_under
from service.catalog.listing import listed
from service.catalog.pickle_names import words
from service.catalog.yaml_dangers import TARGET, TARGET_REFERENCE
from service.errors import InputError
from service.formats import Upload
from service.language import Message, msg
from service.plain import text
from service.tree import Danger, Severity

MAX_DANGERS = 100
TEMPLATE_CODE = "chat_template"
TEMPLATE_ENDING = ".jinja"
_TEMPLATE_BYTES = 4 * MAX_TEMPLATE + 4
"""More than the characters that are looked at can have, so that a longer template is seen to be one."""

_REMOTE = msg("Loading this model with trust_remote_code runs Python code of its repository, or of one that it names.")
_ATTENTION = msg("Loading the model fetches attention code from this repository and runs it.")
_MAPPING = msg("Loading this adapter imports the module that it names, and uses what is named in it.")
_PIPELINE_LIBRARIES = words(
    "diffusers transformers peft onnxruntime optimum flax paddle ppdiffusers paddlenlp torch timm tokenizers "
    "sentence_transformers stable_diffusion stable_diffusion_safe stable_diffusion_xl stable_diffusion_3 "
    "stable_diffusion_k_diffusion stable_diffusion_gligen stable_diffusion_ldm3d stable_diffusion_panorama "
    "stable_cascade stable_video_diffusion stable_audio alt_diffusion altdiffusion audioldm audioldm2 musicldm "
    "versatile_diffusion latent_diffusion kandinsky kandinsky2_2 kandinsky3 kandinsky5 paint_by_example unclip "
    "unidiffuser deepfloyd_if wuerstchen spectrogram_diffusion shap_e semantic_stable_diffusion blip_diffusion "
    "pixart_alpha flux hunyuandit cogvideo cogview3 cogview4 kolors allegro mochi ltx sana wan hunyuan_video "
    "aura_flow lumina lumina2 latte controlnet controlnet_xs animatediff t2i_adapter text_to_video_synthesis onnx "
    "deprecated"
)
"""What a pipeline's list names that is no code of the repository: libraries, and packages in diffusers.pipelines."""


def read(upload: Upload, folder: Folder, documents: Mapping[str, Document]) -> list[Danger]:
    """Dangers of a folder's documents: those read already, by their base names, and those read for this alone."""
    found = [danger for base, document in documents.items() for danger in of_document(document, folder.documents[base])]
    for base, name in folder.documents.items():
        if base.endswith(TEMPLATE_ENDING):
            source = upload.parts[name]
            template = source.read_at(0, min(source.size, _TEMPLATE_BYTES)).decode("utf-8", "replace")
            found.extend(_of_template(template, name, None))
        elif base not in documents:
            found.extend(_of_file(upload, name))
    return list(listed(found, MAX_DANGERS))


def _of_file(upload: Upload, name: str) -> Iterator[Danger]:
    """Dangers of a document that nothing else is read from; one that cannot be read runs nothing either."""
    try:
        document = read_document(upload.parts[name], upload.limits, name)
    except InputError:
        return
    yield from of_document(document, name)


def of_document(document: Document | Sequence[Any], member: str | None) -> Iterator[Danger]:
    """Dangers of one document, however deep they lie in it."""
    return listed(chain(_in_lists(document, member), _in_keys(document, member)), MAX_DANGERS)


def _in_lists(document: Document | Sequence[Any], member: str | None) -> Iterator[Danger]:
    for place, named in _of_lists(document):
        yield _danger(_OF_LISTS, place, named, member)


def _in_keys(document: Document | Sequence[Any], member: str | None) -> Iterator[Danger]:
    open_values: list[tuple[Any, str]] = [(document, "")]
    while open_values:
        value, path = open_values.pop()
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            place = f"{path}/{key}"[:500]
            yield from _of_item(key, item, place, member)
            if isinstance(item, dict | list):
                open_values.append((item, place))


def _of_item(key: Any, item: Any, place: str, member: str | None) -> Iterator[Danger]:
    known = _KEYS.get(key)
    if known is not None and known.applies(item):
        yield _danger(known, place, item, member)
    severity = severity_under(key, item) if key in ("_target_", "target") and isinstance(item, str) else None
    if severity is not None:
        yield _danger(_Known("hydra_target", severity, TARGET, _is_text, TARGET_REFERENCE), place, item, member)
    if key in ("chat_template", "template") and isinstance(item, str):
        yield from _of_template(item, member, place)


def _of_template(template: str, member: str | None, place: str | None) -> Iterator[Danger]:
    found = template_danger(template, TEMPLATE_CODE, path=place and text(place, 200), member=member)
    if found is not None:
        yield found


def _danger(known: _Known, place: str, item: Any, member: str | None) -> Danger:
    return Danger(code=known.code, severity=known.severity, path=text(place, 200), member=member,
                  detail=text(f"{place}: {_shown(item)}", 500), what=known.what, reference=known.reference)  # fmt: skip


def _of_lists(document: Any) -> Iterator[tuple[str, Any]]:
    """What the lists of parts name that is of the repository: of a sentence-transformers model, of a pipeline."""
    if isinstance(document, list):
        for at, part in enumerate(document):
            named = part.get("type") if isinstance(part, dict) and "path" in part else None
            if isinstance(named, str) and "." in named and not named.startswith("sentence_transformers."):
                yield f"/{at}/type", named
    elif isinstance(document, dict) and "_class_name" in document:
        for key, part in document.items():
            if _is_pair(part) and part[0].partition(".")[0] not in _PIPELINE_LIBRARIES:
                yield f"/{key}", ".".join(part)


def _is_pair(part: Any) -> bool:
    return isinstance(part, list) and len(part) == 2 and all(isinstance(one, str) for one in part)


def modules_named(document: Any) -> Iterator[str]:
    """The Python modules of the repository that a document names, by `auto_map` or as parts of it."""
    for _, named in _of_lists(document):
        yield str(named).rpartition(".")[0]
    mapped = document.get("auto_map") if isinstance(document, dict) else None
    for value in mapped.values() if isinstance(mapped, dict) else ():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and "--" not in one:
                yield one.rpartition(".")[0]


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


def _is_text(item: Any) -> bool:
    return isinstance(item, str) and bool(item)


def _imports_code(item: Any) -> bool:
    """A module and a name in it that are no part of a model; adapters of models of one's own name theirs."""
    if not isinstance(item, dict) or not isinstance(item.get("parent_library"), str):
        return False
    module, name = item["parent_library"], str(item.get("base_model_class", ""))
    return runs_code(module, name) or torch_globals.runs_code(module, name)


_KEYS: Mapping[Any, _Known] = {
    "auto_map": _Known("remote_code", "medium", _REMOTE, _is_filled),
    "custom_pipelines": _Known("remote_code", "medium", _REMOTE, _is_filled),
    "custom_generate": _Known("remote_code", "medium", _REMOTE, _is_text),
    "trust_remote_code": _Known("remote_code", "medium", _REMOTE, lambda item: item is True, "CVE-2026-5241"),
    "_attn_implementation_internal": _Known("remote_attention", "high", _ATTENTION, _is_repository, "CVE-2026-4372"),
    "_attn_implementation": _Known("remote_attention", "high", _ATTENTION, _is_repository, "CVE-2026-4372"),
    "attn_implementation": _Known("remote_attention", "high", _ATTENTION, _is_repository, "CVE-2026-4372"),
    "auto_mapping": _Known("adapter_import", "high", _MAPPING, _imports_code),
}
_OF_LISTS = _Known("remote_code", "medium", _REMOTE, _is_text)
