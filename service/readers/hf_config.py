"""config.json of the transformers library alone: an architecture, to be built without weights by the library itself.

Knows which documents it is; must not know a model's layers.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from service.catalog.hf_dangers import of_document
from service.catalog.hf_documents import Document, is_diffusers, is_transformers, read_document
from service.catalog.hf_folder import CONFIG, GENERATION, begins_like_json, without_weights
from service.catalog.shards import plain_path
from service.config import Limits
from service.errors import InputError, InvalidSpec, LimitExceeded, UnsupportedFeature
from service.formats import HEAD_BYTES, BuildRequest, Format, Upload
from service.language import msg
from service.plain import whole
from service.readers import spec_json
from service.source import Source, head

FORMAT = Format(
    id="hf_config",
    framework="torch",
    title=msg("Hugging Face configuration (config.json)"),
    extensions=(".json",),
    reads=msg(
        "The architecture that config.json of the transformers library describes, without weights: every layer, shape "
        "and count as the library itself builds it, without allocating any."
    ),
    leaves=msg(
        "Configurations of diffusers, and models whose code lies in a repository: nothing of a repository is ever run."
    ),
    priority=43,
)

_COUNT = re.compile(
    r"(?:^|(?<!_per)(?<!max)(?<!min)_)(?:layers?|blocks?|depths?|repeats|stages|levels|stacks|cycles|flows|codebooks|quantizers)$"
    r"|(?:^|_)(?:layers|blocks|attends)_per_|^(?:block_sizes|attention_types)$"
)
"""Settings that say how many layers, or parts of as many layers, there shall be."""
_LABELS = 1_000_000
"""Most classes of all heads together: the library makes a text for each of them before it builds anything."""
_PROBE = 1 << 20
_MARKS = (b"architectures", b"model_type", b"_class_name")
_CLASS = re.compile(rb'"architectures"\s*:\s*\[\s*"\w')
"""What a configuration that breaks off is known by: its keys are sorted, so that this comes first."""


def accept(upload: Upload) -> bool:
    """A configuration of transformers or diffusers without weights, or one that breaks off."""
    source = _config(upload)
    return source is not None and _is_config(source)


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """A config.json, and its generation_config.json, in a folder without weights."""
    return [
        frozenset(part for base, part in beside.items() if base in (CONFIG, GENERATION))
        for name, beside in without_weights(upload, CONFIG)
        if _is_config(upload.parts[name])
    ]


def read(upload: Upload) -> BuildRequest:
    """The configuration for the library.

    Raises:
        MalformedJson: Not JSON, or a doubled key.
        UnsupportedFeature: A configuration of diffusers.
        InvalidSpec: A size that no model can have, or half a character; `pointer` says which.
        LimitExceeded: More bytes, layers or labels than one spec may have.
    """
    source = _config(upload)
    if source is None:
        raise InvalidSpec(msg("A spec is one JSON document; several files were sent."))
    document = read_document(source, upload.limits)
    if not is_transformers(document) and is_diffusers(document):
        raise UnsupportedFeature(
            msg("This configures a model of the diffusers library, which is not built here."),
            pointer="_class_name",
            hint=msg("Send it together with its weights (diffusion_pytorch_model.safetensors): those are described."),
        )
    if not is_transformers(document):
        raise InvalidSpec(msg("This JSON is not the configuration of a model."))
    _check(document, upload)
    dangers = tuple(of_document(document, None))
    return BuildRequest(kind="transformers", dialect="hf_config", spec=dict(document), dangers=dangers)


def _config(upload: Upload) -> Source | None:
    """The document itself: the only file, or config.json beside generation_config.json."""
    if upload.single is not None:
        return upload.single
    names = {posixpath.basename(plain_path(name)): name for name in upload.parts}
    return upload.parts[names[CONFIG]] if names.keys() == {CONFIG, GENERATION} and len(upload.parts) == 2 else None


def _is_config(source: Source) -> bool:
    if not begins_like_json(source) or not spec_json.mentions(source, _MARKS, _PROBE):
        return False
    document = _peek(source)
    if document is None:
        start = head(source, HEAD_BYTES)
        return _CLASS.search(start) is not None and b'"weight_map"' not in start
    return is_transformers(document) or is_diffusers(document)


def _peek(source: Source) -> Document | None:
    if not spec_json.may_peek(source, _PROBE):
        return None
    try:
        return read_document(source, source.meter.limits)
    except InputError:
        return None


def _check(document: Document, upload: Upload) -> None:
    limits = upload.limits
    labels = 0
    for path, value in spec_json.walk(document):
        spec_json.check_text(path, value)
        if isinstance(value, int) and abs(value) > limits.dimension:
            pointer = spec_json.pointer_text(path)
            raise InvalidSpec(
                msg(
                    "{pointer} is larger than any size can be ({dimension}).",
                    pointer=pointer, dimension=limits.dimension,
                ),
                pointer=pointer,
                maximum=limits.dimension,
            )  # fmt: skip
        if path and isinstance(path[-1], str) and isinstance(value, int | list):
            labels += _check_count(path, value, limits, labels)


def _check_count(path: list[str | int], value: Any, limits: Limits, labels: int) -> int:
    """How many labels a setting adds to those before it; LimitExceeded for too many labels or layers."""
    name = str(path[-1])
    if name == "num_labels":
        found = max(0, whole(value) or 0)
        if labels + found > _LABELS:
            pointer = spec_json.pointer_text(path)
            detail = msg("{pointer} asks for {count} labels; {most} are made at most.",
                         pointer=pointer, count=found, most=_LABELS)  # fmt: skip
            raise LimitExceeded("labels", _LABELS, detail, value=found, pointer=pointer)
        return found
    layers = _asked(value) if _COUNT.search(name) else 0
    if layers > limits.spec_layers:
        pointer = spec_json.pointer_text(path)
        detail = msg(
            "{pointer} asks for {layers} layers; {spec_layers} are built at most.",
            pointer=pointer, layers=layers, spec_layers=limits.spec_layers,
        )  # fmt: skip
        raise LimitExceeded("spec_layers", limits.spec_layers, detail, value=layers, pointer=pointer)
    return 0


def _asked(value: Any) -> int:
    """The layers a number or a list asks for: as many as its numbers add up to, or as its last if it lists places."""
    numbers: list[int] = []
    waiting = [value]
    items = 0
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            items += len(one)
            waiting.extend(reversed(one))
        elif (found := whole(one)) is not None:
            numbers.append(max(0, found))
    rises = all(first < second for first, second in pairwise(numbers))
    return max([items, *numbers]) if rises else max(items, sum(numbers))
