"""What `paddle.save` writes (`.pdparams`, `.pdopt`, `.pdckpt`): pickles of NumPy arrays, read with inert stand-ins."""

from __future__ import annotations

import re

from service.catalog.paddle_states import NAMES, describe_saved
from service.catalog.torch_dangers import dangers_alone
from service.catalog.torch_model import Description
from service.catalog.torch_report import build
from service.errors import MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.pickle_opcodes import run
from service.source import Source
from service.tree import Danger, Model, ModelInfo

FORMAT = Format(
    id="paddle_params",
    framework="paddle",
    title=msg("PaddlePaddle state (paddle.save: .pdparams, .pdopt)"),
    extensions=(".pdparams", ".pdopt", ".pdckpt"),
    reads=msg(
        "state_dicts, optimizers and checkpoints: names, shapes, types, kinds by Paddle's own names; what loading the "
        "file would run"
    ),
    leaves=msg("classes and graph, which such a file does not hold"),
    priority=80,
)

_MARKS = re.compile(
    re.escape(NAMES.encode())
    + rb"|LR_Scheduler|[a-z]_\d+\.[wb]_\d+(?:_(?:moment[12]?|velocity|beta[12]_pow_acc|mean_square|momentum)_\d+)?"
)
"""What no other library's pickles have: the key of Paddle's own names, or a name that Paddle numbered."""
_PROBE = 1 << 16


def accept(upload: Upload) -> bool:
    """A pickle with Paddle's keys or names at its beginning or its end."""
    source = upload.single
    if source is None or source.read_at(0, min(2, source.size))[:1] != b"\x80":
        return False
    return any(_MARKS.search(part) for part in _ends(source))


def _ends(source: Source) -> list[bytes]:
    first = source.read_at(0, min(_PROBE, source.size))
    rest = max(0, source.size - _PROBE)
    return [first, source.read_at(rest, source.size - rest)]


def read(upload: Upload) -> Model:
    """What the file holds.

    Raises:
        MalformedFile: It is broken and would not have run anything of note before.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A pickle is a single file."))
    limits = upload.limits
    trace = run(source, 0, limits)
    dangers = dangers_alone(trace, source, limits, None)

    def look() -> tuple[Description, list[Danger]]:
        saved = describe_saved(trace.value, limits, trace.begins)
        return Description(layers=saved.layers, states=saved.states, tags=saved.tags, notes=saved.notes), []

    return build(ModelInfo(format=FORMAT.id, framework=FORMAT.framework), trace.broken, dangers, look)
