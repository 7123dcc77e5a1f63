"""adapter_config.json alone: what a PEFT adapter changes, without the arrays that say how large the change is."""

from __future__ import annotations

from collections.abc import Sequence

from service.catalog.hf_documents import adapter_tags, is_adapter, read_document
from service.catalog.hf_folder import ADAPTER, begins_like_json, without_weights
from service.errors import InputError, MalformedFile
from service.formats import HEAD_BYTES, Format, Upload
from service.language import msg
from service.plain import text
from service.readers.spec_json import may_peek, mentions
from service.source import Source, head
from service.tree import Model, ModelInfo

FORMAT = Format(
    id="hf_adapter",
    framework="torch",
    title=msg("PEFT adapter configuration (adapter_config.json)"),
    extensions=(".json",),
    reads=msg("The kind of adapter, its rank, scale, targets and base model."),
    leaves=msg("Layers and counts, which only the adapter's weights tell: send adapter_model.safetensors with it."),
    priority=42,
)

_PROBE = 1 << 20


def accept(upload: Upload) -> bool:
    """A JSON object with a `peft_type`, or one that breaks off."""
    return upload.single is not None and _is_adapter(upload.single)


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """An adapter_config.json in a folder without weights."""
    return [frozenset({name}) for name, _ in without_weights(upload, ADAPTER) if _is_adapter(upload.parts[name])]


def read(upload: Upload) -> Model:
    """What the configuration says; incomplete, as it has no weights.

    Raises:
        MalformedJson: Not JSON, or a doubled key.
        MalformedFile: No adapter's configuration.
    """
    source: Source | None = upload.single
    if source is None:
        raise MalformedFile(msg("These files together are no model that is read here."))
    document = read_document(source, upload.limits)
    if not is_adapter(document):
        raise MalformedFile(msg("This JSON is not the configuration of an adapter."))
    kind, base = document["peft_type"], document.get("base_model_name_or_path")
    note = msg(
        "This is the configuration of an adapter ({kind}) for {base}, without its weights: its layers and counts are "
        "in adapter_model.safetensors.",
        kind=text(kind, 64),
        base=text(base, 200) if isinstance(base, str) and base else msg("a model that is not named"),
    )
    info = ModelInfo(format=FORMAT.id, framework=FORMAT.framework, type=text(kind, 64), tags=adapter_tags(document))
    return Model(info=info, layers=(), complete=False, notes=(note,))


def _is_adapter(source: Source) -> bool:
    if not begins_like_json(source) or not mentions(source, (b"peft_type",), _PROBE):
        return False
    broken = b'"peft_type"' in head(source, HEAD_BYTES)
    if not may_peek(source, _PROBE):
        return broken
    try:
        return is_adapter(read_document(source, source.meter.limits))
    except InputError:
        return broken
