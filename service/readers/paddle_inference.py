"""PaddlePaddle 1 and 2 models: a program (`.pdmodel`, `__model__`) with its parameters or alone."""

from __future__ import annotations

from collections.abc import Sequence

from service.catalog.paddle_files import Files, describe_program, normal
from service.errors import MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.paddle_program import looks_like_program, program
from service.parsers.paddle_tensors import looks_like_tensor
from service.plain import text
from service.tree import Model, ModelInfo

FORMAT = Format(
    id="paddle_inference",
    framework="paddle",
    title=msg("PaddlePaddle model (.pdmodel and .pdiparams)"),
    extensions=(".pdmodel", ".pdiparams"),
    reads=msg(
        "operators, graph and settings; every parameter's name, shape, type and place, program and parameters held "
        "against each other; names and training from .pdiparams.info; also __model__ with one file per parameter"
    ),
    leaves=msg("the weights' values, unless statistics or a comparison of values ask for them"),
    priority=60,
)

_SUFFIXES = (".pdmodel", "__model__")
_COMBINED = (".pdiparams", "__params__", "params", "weights", "model.params")
_MEMBERS_KEPT = 1000
_MOST_SHARING = 20
"""Most programs of one folder that are told with the tensors in it: no folder of a model has several."""


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Each program with the parameters beside it: of the same stem, or of the same folder for `__model__`."""
    names = {normal(name): name for name in upload.parts}
    folders: dict[str, list[str]] = {}
    for plain in names:
        folders.setdefault(plain.rpartition("/")[0], []).append(plain)
    found = []
    several: dict[str, list[str]] = {}
    for plain, name in names.items():
        if not plain.endswith(_SUFFIXES) or not looks_like_program(upload.parts[name]):
            continue
        stem = plain.removesuffix(".pdmodel")
        if stem == plain:
            several.setdefault(plain.rpartition("/")[0], []).append(name)
        else:
            beside = [names[stem + end] for end in (".pdiparams", ".pdiparams.info") if stem + end in names]
            found.append(frozenset((name, *beside)))
    for folder, programs in several.items():
        siblings = (names[other] for other in folders[folder])
        tensors = [other for other in siblings if looks_like_tensor(upload.parts[other])]
        shared = tensors if len(programs) <= _MOST_SHARING else ()
        found.extend(frozenset((name, *shared)) for name in programs)
    return tuple(found)


def accept(upload: Upload) -> bool:
    """One program, alone or with nothing but parameters beside it."""
    programs = [name for name, source in upload.parts.items() if looks_like_program(source)]
    if len(programs) != 1:
        return False
    return all(
        name == programs[0] or looks_like_tensor(source) or normal(name).endswith(".info") or source.size == 0
        for name, source in upload.parts.items()
    )


def read(upload: Upload) -> Model:
    """The model.

    Raises:
        InputError: The program or the parameters are broken, or larger than the limits.
    """
    name = next((name for name, source in upload.parts.items() if looks_like_program(source)), None)
    if name is None:
        raise MalformedFile(msg("None of the files is a PaddlePaddle program."))
    alone = upload.single is not None
    source = upload.parts[name]
    try:
        found = program(source, upload.limits)
    except MalformedFile as error:
        raise (error if alone else error.within(name)) from None
    info = ModelInfo(
        format=FORMAT.id,
        framework=FORMAT.framework,
        members=() if alone else tuple(text(part, 500) for part in list(upload.parts)[:_MEMBERS_KEPT]),
    )
    return describe_program(found, _files(upload, name), info, source)


def _files(upload: Upload, program_name: str) -> Files:
    rest = {name: source for name, source in upload.parts.items() if name != program_name}
    files = Files()
    for name in [name for name in rest if normal(name).endswith(".info")]:
        files.info = (name, rest.pop(name))
    combined = [name for name in rest if normal(name).endswith(_COMBINED) or len(rest) == 1]
    if combined and len(rest) == 1:
        files.combined = (combined[0], rest[combined[0]])
    else:
        files.single = {normal(name).rpartition("/")[2]: (name, source) for name, source in rest.items()}
    return files
