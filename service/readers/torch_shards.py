"""PyTorch weights as Hugging Face keeps them: shards with their index, or a file beside its config.json.

Each file is read by the readers of torch.save files; this one joins what they say.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from service.catalog.hf_folder import Folder, Kind, folders, whole
from service.catalog.hf_model import Documents, Weights, assemble, document_findings, read_documents, with_documents
from service.catalog.named import Stored
from service.catalog.shards import read_index
from service.catalog.torch_dtypes import is_quantised
from service.errors import InputError, MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.plain import text
from service.readers import torch_legacy, torch_zip
from service.source import Source
from service.tree import Danger, Model, ModelInfo, Weight

FORMAT = Format(
    id="torch_shards",
    framework="torch",
    title=msg("PyTorch weights in a Hugging Face folder"),
    extensions=(".bin", ".bin.index.json"),
    reads=msg(
        "pytorch_model.bin in shards with their index, or beside its config.json, which are held against one another; "
        "the index alone too. Each file as the PyTorch readers read it."
    ),
    leaves=msg("the weights' values, unless statistics or a comparison of values ask for them"),
    priority=31,
)

_READERS = (torch_zip, torch_legacy)


def accept(upload: Upload) -> bool:
    """An index of PyTorch files, or files that together are one model; a single torch.save file is not for us."""
    folder = whole(upload, _KIND)
    return folder is not None and _is_ours(folder)


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Each index with its shards, each series of shards, each file beside a config; with the documents."""
    return [folder.parts for folder in folders(upload, _KIND) if _is_ours(folder)]


def read(upload: Upload) -> Model:
    """The model inside.

    Raises:
        MalformedFile: The index or a file is broken.
        TruncatedFile: A file ends before it should.
        LimitExceeded: It is more than one analysis may describe.
    """
    folder = whole(upload, _KIND)
    if folder is None:
        raise MalformedFile(msg("These files together are no model that is read here."))
    index = None if folder.index is None else read_index(upload.parts[folder.index], upload.limits, folder.index)
    models = {file: _read_part(upload, part) for file, part in sorted(folder.weights.items())}
    documents = read_documents(upload, folder)
    if index is None and len(models) == 1 and not folder.missing:
        return _alone(next(iter(models.values())), folder, documents)
    info = ModelInfo(format=FORMAT.id, framework=FORMAT.framework)
    return assemble(info, folder, index, _weights(folder, models), documents, upload.limits)


def _alone_upload(source: Source) -> Upload:
    return Upload({"file": source}, source.meter)


def _holds(source: Source) -> bool:
    return any(reader.accept(_alone_upload(source)) for reader in _READERS)


_KIND = Kind(".bin", re.compile(r"(?:pytorch_model|adapter_model|diffusion_pytorch_model)(?:[.-].*)?"), _holds)
"""Not every file of that ending: a folder of a training run holds `training_args.bin`, too."""


def _is_ours(folder: Folder) -> bool:
    return folder.index is not None or len(folder.parts) > 1


def _read_part(upload: Upload, part: str) -> Model:
    given = _alone_upload(upload.parts[part])
    for reader in _READERS:
        if reader.accept(given):
            try:
                found: Model = reader.read(given)
            except InputError as error:
                raise error.within(part) from None
            return found
    raise MalformedFile(msg("The index names this file, which is no PyTorch file."), member=part, offset=0)


def _alone(model: Model, folder: Folder, documents: Documents) -> Model:
    """A model in one file, as its own reader has it, with what the documents say."""
    (part,) = folder.weights.values()
    info = msgspec.structs.replace(model.info, format=FORMAT.id, framework=FORMAT.framework)
    layers = tuple(
        msgspec.structs.replace(layer, weights=tuple(_moved(weight, part) for weight in layer.weights))
        for layer in model.layers
    )
    return msgspec.structs.replace(
        model,
        info=with_documents(info, folder, documents),
        layers=layers,
        security=(*_dangers(model, part), *documents.dangers),
        findings=(*model.findings, *document_findings(documents, list(_stored({part: model})))),
    )


def _weights(folder: Folder, models: Mapping[str, Model]) -> Weights:
    parts = {folder.weights[file]: model for file, model in models.items()}
    arrays = list(_stored(parts))
    whole_bytes = sum(one.bytes or 0 for one in arrays)
    unique = {one.identity: one.bytes or 0 for one in arrays}
    known = all(one.bytes is not None for one in arrays)
    return Weights(
        arrays=arrays,
        held={file: _keys(model) for file, model in models.items()},
        sizes=(whole_bytes, sum(unique.values())) if known else (),
        findings=[finding for model in models.values() for finding in model.findings],
        dangers=[danger for part, model in parts.items() for danger in _dangers(model, part)],
        notes=list(dict.fromkeys(note for model in models.values() if not model.complete for note in model.notes)),
        complete=all(model.complete for model in models.values()),
    )


def _keys(model: Model) -> list[str]:
    """What the state_dict of a file holds: what belongs to a quantised tensor or a packed object is no entry of it."""
    arrays = list(_stored({"": model}))
    names = (one.name if one.role is None else one.name.rpartition("[")[0] for one in arrays)
    return [name for name in dict.fromkeys(names) if name]


def _stored(models: Mapping[str, Model]) -> Iterator[Stored]:
    """Every weight of files read one by one; those tied within a file share an identity."""
    for part, model in models.items():
        held = chain((layer.weights for layer in model.layers), (state.weights for state in model.states))
        weights = list(chain.from_iterable(held))
        quantised = {weight.stored_as for weight in weights if is_quantised(weight.dtype)}
        for weight in weights:
            name = weight.stored_as or weight.name
            told = _is_part(name, quantised)
            yield Stored(
                name=name,
                shape=None if weight.shape is None else tuple(size or 0 for size in weight.shape),
                dtype=weight.dtype,
                bytes=weight.bytes,
                location=_moved(weight, part).location,
                stored_as=name,
                identity=(part, weight.tied_to or name),
                stored_count=weight.stored_count,
                role=weight.role if told else None,
                group=weight.group if told or name in quantised else None,
            )


def _is_part(name: str, quantised: Collection[str | None]) -> bool:
    """Whether PyTorch itself says what an array is: the scales of a quantised tensor, a tensor in a packed object."""
    of, _, local = name.rpartition(".")
    return name.endswith("]") or (local in ("scales", "zero_points") and of in quantised)


def _moved(weight: Weight, part: str) -> Weight:
    """The weight with its place in `part` of the upload."""
    place = weight.location
    if place is None:
        return weight
    return msgspec.structs.replace(weight, location=msgspec.structs.replace(place, member=_inside(part, place.member)))


def _dangers(model: Model, part: str) -> list[Danger]:
    return [msgspec.structs.replace(one, member=_inside(part, one.member)) for one in model.security]


def _inside(part: str, member: str | None) -> str:
    return text(part) if member is None else f"{text(part)}!/{member}"
