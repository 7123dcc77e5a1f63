"""Stands in for the readers of a worker: reads each upload as they do and tells what came of it, whatever that is.

Loaded as `--test-module` into a warm process of tests. A child does some inputs, one after the other: it reads each,
and then, as asked, measures its values, measures what lying places lead to, compares, or draws a view. What it answers
is a model whose one note holds the findings as JSON.
"""

from __future__ import annotations

# The path comes first:
# ruff: noqa: E402
import importlib
import json
import sys
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a warm process knows no path but its interpreter's

import msgspec

from service import wire
from service.compare.compare import compare
from service.enrich.pipeline import enrich
from service.errors import InputError
from service.formats import Format, Upload
from service.language import from_data, verbatim
from service.presentation import REPORT_VIEWS, Options, rendered
from service.registry import load_readers
from service.source import BytesSource, Meter, Source
from service.tree import SCHEMA_VERSION, Confinement, Model, ModelInfo, Provenance, Report
from service.values.opening import open_values
from service.values.pair import PairOfValues
from service.views import html
from service.worker import values
from service.worker.reading import read as read_upload
from service.worker.rehearsal import rehearse
from service.worker.telling import nobody
from tests.fuzz.documents import changed
from tests.fuzz.finding import ORDERS, Finding, Named, Order

FORMAT = Format(id="fuzz", framework="keras", title=verbatim(""), extensions=(), reads=verbatim(""))
READERS = load_readers()
SERVICE = str(ROOT / "service")
"""Frames below it are ours; the innermost say where it happened."""
_PLACES = 3

VIEWS = tuple(view for view in REPORT_VIEWS if view.render is not None)


def accept(upload: Upload) -> bool:
    """Everything."""
    return True


def find(upload: Upload) -> list[frozenset[str]]:
    """All files together."""
    return [frozenset(upload.parts)]


def read(upload: Upload) -> Model:
    """Do what the orders say with the other files."""
    source = upload.parts[ORDERS]
    orders = msgspec.json.decode(source.read_at(0, source.size), type=list[Named])
    files = (part for name, part in upload.parts.items() if name != ORDERS)
    findings = []
    for named in orders:
        given = {name: next(files) for name in named.names}
        meter = Meter(upload.limits.for_upload(sum(file.size for file in given.values())))
        parts = {name: Held(file, meter) for name, file in given.items()}
        start, aside = time.process_time(), ASIDE.seconds
        found = _tried(Upload(parts, meter), named.order)
        seconds = time.process_time() - start - (ASIDE.seconds - aside)
        findings.append(msgspec.structs.replace(found, seconds=seconds))
    note = verbatim(msgspec.json.encode(findings).decode())
    return Model(info=ModelInfo(format="fuzz", framework="keras"), layers=(), notes=(note,))


class Held(BytesSource):
    """A file that counts what is read of it for one upload alone."""

    def __init__(self, file: Source, meter: Meter) -> None:
        super().__init__(file.read_at(0, file.size), meter)

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`."""
        self.meter.add_read(length)
        return super().read_at(offset, length)


def _tried(given: Upload, order: Order) -> Finding:
    try:
        return Finding(how="answered", marks=_done(given, order))
    except InputError as error:
        return Finding(how="refused", code=error.info.code, marks=_places(error))
    except MemoryError:
        return Finding(how="memory")
    except Exception as error:  # noqa: BLE001 - every other exception is what is looked for
        frames = traceback.format_exception(error)
        return Finding(how="bug", code=type(error).__name__, marks=_places(error), story="".join(frames)[-4000:])


def _places(error: BaseException) -> tuple[str, ...]:
    """File and line of the innermost frames of ours: what tells one way to fail from another."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{frame.filename[len(SERVICE) + 1 :]}:{frame.lineno}" for frame in frames if SERVICE in frame.filename]
    return tuple(ours[-_PLACES:])


def _done(given: Upload, order: Order) -> tuple[str, ...]:
    answer = read_upload(given, READERS)
    crossed = wire.decode_answer(wire.encode(answer))
    if answer.model is None or crossed.model is None:
        return (f"spec {answer.build and answer.build.dialect}",)
    _must_be_sound(answer.model)
    further = _FURTHER[order.work](given, crossed.model, Random(order.seed))  # noqa: S311 - repeatable, not secret
    return tuple(sorted({answer.reader, *_marks(answer.model), *further}))


def _must_be_sound(model: Model) -> None:
    """Paths occur once, parents come first, inputs are layers, and no count is below nothing."""
    seen: set[str] = set()
    for layer in model.layers:
        assert layer.path not in seen, f"twice: {layer.path}"
        assert layer.parent is None or layer.parent in seen, f"no parent: {layer.path}"
        seen.add(layer.path)
    assert all(name in seen for layer in model.layers for name in layer.inputs or ()), "an input that is no layer"
    held = [weight for holder in (*model.layers, *model.states) for weight in holder.weights]
    assert all((weight.count or 0) >= 0 and (weight.bytes or 0) >= 0 for weight in held), "a count below nothing"


def _marks(model: Model) -> set[str]:
    """What tells one answer from another: whatever readers, rules and enrichers chose to say."""
    found = {f"kind {layer.kind}" for layer in model.layers} | {f"note {note.id}" for note in model.notes}
    found |= {f"danger {one.code}" for one in model.security} | {f"finding {one.rule}" for one in model.findings}
    found |= {f"state {one.group}" for one in model.states} | {f"complete {model.complete}"}
    return found | {f"dtype {weight.dtype}" for layer in model.layers for weight in layer.weights}


def _nothing(_given: Upload, _model: Model, _draw: Random) -> set[str]:
    return set()


def _measured(given: Upload, model: Model, _draw: Random) -> set[str]:
    measured = values.measure(given, model, nobody)
    told = [weight.statistics for layer in measured.layers for weight in layer.weights if weight.statistics]
    wire.decode_answer(wire.encode(wire.Answer(model=measured)))
    return {f"statistics {one.status} {one.reason and one.reason.id}" for one in told}


def _lying(given: Upload, model: Model, draw: Random) -> set[str]:
    """Values by a description that was changed since."""
    lie = _changed(model, Model, draw)
    if lie is None:
        return set()
    return _measured(given, msgspec.structs.replace(lie, info=model.info), draw)  # its format is ours to say


class Aside:
    """Processor time that fuzzing itself took in the midst of what it looks at."""

    seconds = 0.0


ASIDE = Aside()


def _changed(value: Any, kind: type, draw: Random) -> Any:
    """`value` with some of its JSON changed, where that is still one; else None. Takes longer than what follows."""
    start = time.process_time()
    document = msgspec.json.decode(wire.encode(value))
    made = next((made for _ in range(20) if (made := _decoded(changed(document, draw), kind)) is not None), None)
    ASIDE.seconds += time.process_time() - start
    return made


def _decoded(document: Any, kind: type) -> Any:
    try:
        return msgspec.json.decode(json.dumps(document), type=kind, dec_hook=from_data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _compared(given: Upload, model: Model, draw: Random) -> set[str]:
    """The report with a changed copy of itself, by its description and by the numbers."""
    left = _report(model)
    right = _changed(left, Report, draw) if left is not None else None
    if left is None or right is None:
        return set()
    pair = PairOfValues(open_values(given, left), open_values(given, right))
    found = [compare(left, right), compare(right, left, pair)]
    for one in found:
        wire.decode_answer(wire.encode(wire.Answer(comparison=one)))
    return {f"pair {pair.status} {problem.code}" for one in found for pair in one.layers for problem in one.problems}


def _report(model: Model) -> Report | None:
    if model.totals is None:
        return None
    shared = {name: getattr(model, name) for name in Report.__struct_fields__ if name in Model.__struct_fields__}
    made = Provenance(
        reader="fuzz", method="static", version="0", seconds=0, bytes_read=0,
        confinement=Confinement(confined=True, layers={}),
    )  # fmt: skip
    return Report(**shared, schema_version=SCHEMA_VERSION, model=model.info, provenance=made)


def _viewed(_given: Upload, model: Model, draw: Random) -> set[str]:
    report = _report(model)
    if report is not None:
        rendered(report, draw.choice(VIEWS), Options()).encode()
    return set()


_FURTHER = {"read": _nothing, "measure": _measured, "lie": _lying, "compare": _compared, "view": _viewed}


def _warm() -> None:
    """Have everything done once, so that no child has to import or open anything."""
    rehearse(READERS, values.measure)
    importlib.import_module("service.compare.judging")
    html._environment().auto_reload = False
    empty = _report(enrich(Model(info=ModelInfo(format="fuzz", framework="keras"), layers=())))
    for view in VIEWS:
        if empty is not None:
            rendered(empty, view, Options())


_warm()
