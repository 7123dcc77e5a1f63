"""PaddlePaddle 3 models: a program as JSON (PIR) and its parameters, together or the program alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.catalog.paddle_files import Files, describe_program, normal
from service.errors import LimitExceeded, MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.paddle_pir import program
from service.parsers.paddle_tensors import looks_like_tensor
from service.plain import text
from service.source import Source, head
from service.tree import Model, ModelInfo

FORMAT = Format(
    id="paddle_json",
    framework="paddle",
    title=msg("PaddlePaddle 3 model (.json and .pdiparams)"),
    extensions=(".json", ".pdiparams"),
    reads=msg(
        "operators, graph and settings; every parameter's name, shape, type, place and whether it is trained; program "
        "and parameters held against each other"
    ),
    leaves=msg("the weights' values, unless statistics or a comparison of values ask for them"),
    priority=58,
)

_MARK = re.compile(rb'\A\s*\{\s*"base_code"\s*:\s*\{[^{}]{0,300}"magic"\s*:\s*"pir"')
_MEMBERS_KEPT = 1000


def _is_program(source: Source) -> bool:
    return bool(_MARK.match(head(source, 512)))


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Each program with the parameters of the same stem."""
    names = {normal(name): name for name in upload.parts}
    found = []
    for plain, name in names.items():
        if plain.endswith(".json") and _is_program(upload.parts[name]):
            beside = {names[plain.removesuffix(".json") + end] for end in (".pdiparams",)
                      if plain.removesuffix(".json") + end in names}  # fmt: skip
            found.append(frozenset({name, *beside}))
    return tuple(found)


def accept(upload: Upload) -> bool:
    """One program that says of itself that it is PIR, alone or with one stream of parameters."""
    programs = [name for name, source in upload.parts.items() if _is_program(source)]
    rest = [source for name, source in upload.parts.items() if name not in programs]
    return len(programs) == 1 and len(rest) < 2 and all(looks_like_tensor(source) for source in rest)


def read(upload: Upload) -> Model:
    """The model.

    Raises:
        InputError: The JSON or the parameters are broken, or larger than the limits.
    """
    name = next((name for name, source in upload.parts.items() if _is_program(source)), None)
    if name is None:
        raise MalformedFile(msg("None of the files is a PaddlePaddle program."))
    source, limits = upload.parts[name], upload.limits
    member = None if upload.single is not None else name
    if source.size > limits.json_bytes:
        raise LimitExceeded("json_bytes", limits.json_bytes, msg("The program is too large to be read."), member=member)
    found = program(source.read_at(0, source.size), limits, member)
    files = Files(combined=next(((other, held) for other, held in upload.parts.items() if other != name), None))
    info = ModelInfo(
        format=FORMAT.id,
        framework=FORMAT.framework,
        members=() if member is None else tuple(text(part, 500) for part in list(upload.parts)[:_MEMBERS_KEPT]),
    )
    return describe_program(found, files, info, source)
