"""config.json of the transformers library alone: an architecture, to be built without weights by the library itself.

Knows which documents it is; must not know a model's layers.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from service.catalog.hf_dangers import of_document
from service.catalog.hf_documents import Document, is_diffusers, is_transformers, read_document
from service.catalog.hf_folder import CONFIG, GENERATION, begins_like_json, without_weights
from service.catalog.shards import plain_path
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

_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers")
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
        LimitExceeded: More bytes or layers than one spec may have.
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
        layers = whole(value) if path[-1:] and path[-1] in _LAYERS else None
        if layers is not None and layers > limits.spec_layers:
            detail = msg(
                "The spec lists {layers} layers; {spec_layers} are built at most.",
                layers=layers, spec_layers=limits.spec_layers,
            )  # fmt: skip
            raise LimitExceeded(
                "spec_layers", limits.spec_layers, detail, value=layers, pointer=spec_json.pointer_text(path)
            )
