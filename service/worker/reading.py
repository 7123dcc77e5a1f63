"""An upload to an answer: recognised, read, measured if asked, enriched. Knows no task, descriptor or process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from service import wire
from service.enrich.joining import join, placed, with_notes
from service.enrich.pipeline import Deliver, enrich
from service.errors import ErrorInfo, InputError, UnsupportedFeature
from service.formats import BuildRequest, Reader, Upload
from service.language import Message, msg, msgn
from service.plain import shortened, text
from service.tree import Model
from service.worker.beside import beside
from service.worker.gathering import Held, gather
from service.worker.searching import MOST_NAMED, Found, Search, folder_of, search

SEVERAL = "several"
"""What read an upload of several models, where it was not one reader."""
_Failed = list[tuple[str, ErrorInfo]]
_Placed = TypeVar("_Placed", Found, Held)
BESIDE = msg("Only a framework can build it, and it is built only when it is sent alone.")


def unmeasured(model: Model) -> Model:
    """Where no values were asked for."""
    return model


def read(
    upload: Upload,
    readers: Sequence[Reader],
    measure: Callable[[Model], Model] = unmeasured,
    deliver: Deliver = tuple,
) -> wire.Answer:
    """What is found in the upload by the readers that accept it, measured and then enriched. Raises InputError.

    The layers of a single model are given to `deliver` as they are finished.
    """
    searched = search(upload, readers)
    if len(searched.found) > 1:
        return _several(searched, measure)
    only = searched.found[0]
    answer = _read(only)
    if isinstance(answer, BuildRequest):
        return wire.Answer(build=answer, reader=only.reader.FORMAT.id)
    model = _with_all(answer, _unread(searched.unread), searched)
    return wire.Answer(model=enrich(measure(model), deliver), reader=only.reader.FORMAT.id)


def _read(found: Found) -> Model | BuildRequest:
    """What one reader makes of its files; errors and places are told from the upload on."""
    alone = next(iter(found.upload.parts)) if found.upload.single is not None and found.path else None
    try:
        answer = found.reader.read(found.upload)
    except InputError as error:
        if alone:
            error.within(text(alone))
        raise
    return placed(answer, alone) if isinstance(answer, Model) else answer


def _several(searched: Search, measure: Callable[[Model], Model]) -> wire.Answer:
    """All models as one; those that cannot be read are named, unless none can."""
    readers = {one.path: one.reader.FORMAT.id for one in searched.found}
    held, unreadable = _each(searched.found, lambda one: measure(_static(_read(one))))
    gathered = gather([Held(one.path, folder_of(one.upload.parts), model) for one, model in held])
    kept, uncounted = _each(gathered.models, lambda one: enrich(one.model))
    notes, failed = _unread([*searched.unread, *gathered.empty]), [*unreadable, *uncounted]
    if len(kept) == 1 and not failed:
        ((only, model),) = kept
        return wire.Answer(model=_with_all(model, notes, searched), reader=readers[only.path])
    joined = _with_all(join([(one.path, model) for one, model in kept], failed), notes, searched)
    ids = set(readers.values())
    return wire.Answer(model=joined, reader=ids.pop() if len(ids) == 1 else SEVERAL)


def _with_all(model: Model, notes: Sequence[Message], searched: Search) -> Model:
    """`model` with what is said of the rest of the upload."""
    packed = searched.upload.single is not None and any(one.path for one in searched.found)
    return with_notes(model, notes, (*searched.dangers, *beside(searched.upload, model, packed=packed)))


def _each(given: Sequence[_Placed], work: Callable[[_Placed], Model]) -> tuple[list[tuple[_Placed, Model]], _Failed]:
    """What `work` makes of each, and why it makes nothing of others; raises the last error where it fails for all."""
    done: list[tuple[_Placed, Model]] = []
    failed: _Failed = []
    for one in given:
        try:
            done.append((one, work(one)))
        except InputError as error:
            failed.append((one.path, error.info))
            if len(failed) == len(given):
                raise
    return done, failed


def _static(answer: Model | BuildRequest) -> Model:
    if isinstance(answer, Model):
        return answer
    raise UnsupportedFeature(BESIDE)


def _unread(unread: Iterable[str]) -> list[Message]:
    names = [text(name, 100) for name in unread]
    if not names:
        return []
    return [msgn("{n} file was not read as a model: {names}.", "{n} files were not read as models: {names}.",
                 n=len(names), names=shortened(names, MOST_NAMED))]  # fmt: skip
