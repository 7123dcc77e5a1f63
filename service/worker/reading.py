"""An upload to an answer: recognised, read, measured if asked, enriched. Knows no task, descriptor or process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service import wire
from service.enrich.joining import join, placed, with_notes
from service.enrich.pipeline import enrich
from service.errors import ErrorInfo, InputError, UnsupportedFeature
from service.formats import BuildRequest, Reader, Upload
from service.language import Message, msg, msgn
from service.plain import text
from service.tree import Model
from service.worker.searching import MOST_NAMED, Found, Search, search

SEVERAL = "several"
"""What read an upload of several models, where it was not one reader."""
BESIDE = msg("Only a framework can build it, and it is built only when it is sent alone.")


def unmeasured(model: Model) -> Model:
    """Where no values were asked for."""
    return model


def read(upload: Upload, readers: Sequence[Reader], measure: Callable[[Model], Model] = unmeasured) -> wire.Answer:
    """What is found in the upload by the readers that accept it, measured and then enriched. Raises InputError."""
    searched = search(upload, readers)
    if len(searched.found) > 1:
        return _several(searched, measure)
    only = searched.found[0]
    answer = _read(only)
    if isinstance(answer, BuildRequest):
        return wire.Answer(build=answer, reader=only.reader.FORMAT.id)
    model = with_notes(answer, _unread(searched), searched.dangers)
    return wire.Answer(model=enrich(measure(model)), reader=only.reader.FORMAT.id)


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
    models: list[tuple[str, Model]] = []
    failed: list[tuple[str, ErrorInfo]] = []
    for found in searched.found:
        try:
            models.append((found.path, enrich(measure(_static(_read(found))))))
        except InputError as error:
            failed.append((found.path, error.info))
            if len(failed) == len(searched.found):
                raise
    joined = with_notes(join(models, failed), _unread(searched), searched.dangers)
    ids = {found.reader.FORMAT.id for found in searched.found}
    return wire.Answer(model=joined, reader=ids.pop() if len(ids) == 1 else SEVERAL)


def _static(answer: Model | BuildRequest) -> Model:
    if isinstance(answer, Model):
        return answer
    raise UnsupportedFeature(BESIDE)


def _unread(searched: Search) -> list[Message]:
    names = [text(name, 100) for name in searched.unread]
    if not names:
        return []
    shown = (*names[:MOST_NAMED], "…") if len(names) > MOST_NAMED else tuple(names)
    return [msgn("{n} file was not read as a model: {names}.", "{n} files were not read as models: {names}.",
                 n=len(names), names=shown)]  # fmt: skip
