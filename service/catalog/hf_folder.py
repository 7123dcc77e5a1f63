"""Which files of a folder are one Hugging Face model: weights, the index of their parts, the documents beside them.

Knows how such folders name their files and that an index names others; what is in the weights it asks of its caller.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from service.catalog.shards import beside, index_ending, plain_path, read_index, series_names, series_of
from service.config import Limits
from service.errors import InputError
from service.formats import Upload
from service.source import Source, head

CONFIG, GENERATION, ADAPTER, QUANTIZE = (
    "config.json", "generation_config.json", "adapter_config.json", "quantize_config.json",
)  # fmt: skip
TOKENIZER, TEMPLATE, TEMPLATES = "tokenizer_config.json", "chat_template.jinja", "chat_template.json"
PROCESSORS = ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json")
MORE_TEMPLATES = "additional_chat_templates"
"""Read for what in them is code, and for nothing else; the last is a folder."""
_ADAPTER_WEIGHTS = re.compile(r"(?:adapter_model|adapter)(?:[.-].*)?")
_WEIGHTS = re.compile(
    r".*\.(?:safetensors|bin|pt|pth|ckpt|gguf|onnx|h5|keras|msgpack|ot|npz|npy|tflite|pdparams|pdiparams|xml|pb|index)"
    r"|.*\.index\.json|model\.json",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of weights: the ending of its files, which names of that ending are weights, how to know the content."""

    ending: str
    names: re.Pattern[str]
    holds: Callable[[Source], bool]


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of one model; all names as the upload has them.

    Attributes:
        weights: By the name that index or series has for them.
        missing: Names of that kind that were not sent, as far as they were asked for.
        unnamed: Those of `weights` that the index does not name.
        index: The index, if there is one.
        documents: The documents beside, by their base names.
    """

    weights: Mapping[str, str]
    missing: tuple[str, ...]
    unnamed: tuple[str, ...]
    index: str | None
    documents: Mapping[str, str]

    @property
    def parts(self) -> frozenset[str]:
        """All its files."""
        index = () if self.index is None else (self.index,)
        return frozenset({*self.weights.values(), *index, *self.documents.values()})


@dataclass(frozen=True, slots=True)
class _Listing:
    """An upload's files: by plain path, those of series by what their names share, templates by folder."""

    names: Mapping[str, str]
    series: dict[tuple[str, str, int, str], list[str]]
    templates: Mapping[str, list[str]]


def folders(upload: Upload, kind: Kind) -> list[Folder]:
    """Every model of this kind of weights among the files, each index and each series as one. Never raises."""
    listing = _listing(upload)
    taken: set[str] = set()
    found: list[Folder] = []
    for path, name in listing.names.items():
        if path.lower().endswith(".json") and index_ending(upload.parts[name]) == kind.ending:
            folder = _indexed(upload, listing, path, kind)
            taken.update(folder.weights.values())
            found.append(folder)
    for path, name in listing.names.items():
        if name not in taken and _is_weights(path, upload.parts[name], kind):
            folder = _series(upload, listing, path, kind)
            taken.update(folder.weights.values())
            found.append(folder)
    return found


def whole(upload: Upload, kind: Kind) -> Folder | None:
    """The one model that all files of the upload make together, with what is missing of it; None where they do not."""
    if upload.single is not None and index_ending(upload.single) == kind.ending:
        listing = _listing(upload)
        return _indexed(upload, listing, next(iter(listing.names)), kind)
    parts = frozenset(upload.parts)
    found = next((folder for folder in folders(upload, kind) if folder.parts == parts), None)
    if found is None or found.index is not None:
        return found
    wanted = series_names(next(iter(found.weights)))
    return replace(found, missing=tuple(one for one in wanted if one not in found.weights))


def without_weights(upload: Upload, base: str) -> list[tuple[str, Mapping[str, str]]]:
    """Files called `base` in folders without files that are named like weights, each with the documents beside it."""
    names = _listing(upload).names
    weighty = {posixpath.dirname(path) for path in names if _WEIGHTS.fullmatch(posixpath.basename(path))}
    return [
        (name, _beside(names, path, (CONFIG, GENERATION, ADAPTER, QUANTIZE)))
        for path, name in names.items()
        if posixpath.basename(path) == base and posixpath.dirname(path) not in weighty
    ]


def _listing(upload: Upload) -> _Listing:
    names = {plain_path(name): name for name in upload.parts}
    series: dict[tuple[str, str, int, str], list[str]] = {}
    templates: dict[str, list[str]] = {}
    for path in names:
        key = _series_key(path)
        if key is not None:
            series.setdefault(key, []).append(path)
        if path.endswith(".jinja"):
            templates.setdefault(posixpath.dirname(path), []).append(path)
    return _Listing(names, series, templates)


def _series_key(path: str) -> tuple[str, str, int, str] | None:
    folder, base = posixpath.split(path)
    found = series_of(base)
    return None if found is None else (folder, found[0], found[2], found[3].lower())


def _indexed(upload: Upload, listing: _Listing, path: str, kind: Kind) -> Folder:
    names, files = listing.names, _files(upload.parts[listing.names[path]], upload.limits)
    there = {file: names[beside(path, file)] for file in files if beside(path, file) in names}
    keys = {key for file in files if (key := _series_key(beside(path, file))) is not None}
    used, folder = set(there.values()), posixpath.dirname(path)
    others = [other for key in sorted(keys) for other in listing.series.pop(key, ())]
    unnamed = {
        posixpath.relpath(f"/{other}", f"/{folder}"): names[other]  # of relative ones it asks where it runs
        for other in others
        if names[other] not in used and _is_weights(other, upload.parts[names[other]], kind)
    }
    missing = tuple(file for file in files if file not in there)
    return Folder({**there, **unnamed}, missing, tuple(unnamed), names[path], _documents(listing, path))


def _files(index: Source, limits: Limits) -> list[str]:
    try:
        return read_index(index, limits).files
    except InputError:  # said when the index is read
        return []


def _series(upload: Upload, listing: _Listing, path: str, kind: Kind) -> Folder:
    key = _series_key(path)
    paths = [path] if key is None else listing.series.pop(key, [path])
    held = {
        posixpath.basename(one): listing.names[one]
        for one in paths
        if one == path or _is_weights(one, upload.parts[listing.names[one]], kind)
    }
    return Folder(held, (), (), None, _documents(listing, path))


def _is_weights(path: str, source: Source, kind: Kind) -> bool:
    base = posixpath.basename(path)
    return base.lower().endswith(kind.ending) and bool(kind.names.fullmatch(base)) and kind.holds(source)


def _documents(listing: _Listing, path: str) -> Mapping[str, str]:
    names = listing.names
    adapter = _ADAPTER_WEIGHTS.fullmatch(posixpath.basename(path))
    own = (ADAPTER,) if adapter else (CONFIG, GENERATION, QUANTIZE)
    more = posixpath.join(posixpath.dirname(path), MORE_TEMPLATES)
    templates = {f"{MORE_TEMPLATES}/{posixpath.basename(one)}": names[one] for one in listing.templates.get(more, ())}
    return {**_beside(names, path, (*own, TOKENIZER, TEMPLATE, TEMPLATES, *PROCESSORS)), **templates}


def _beside(names: Mapping[str, str], path: str, wanted: tuple[str, ...]) -> Mapping[str, str]:
    folder = posixpath.dirname(path)
    return {base: names[full] for base in wanted if (full := posixpath.join(folder, base)) in names}


def begins_like_json(source: Source) -> bool:
    """Whether the first character opens a JSON object."""
    return head(source, 64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
