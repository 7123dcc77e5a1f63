"""What a query asks of a report, as the presentation takes it. Knows parameters, not how a report is made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask import request

from service.enrich.findings.run import rule_ids
from service.errors import NotAcceptable, RequestError
from service.language import msg
from service.presentation import Options, Rules, View
from service.web.languages import language

MAX_INPUTS = 16
MAX_AXES = 8
MAX_SIZE = 2**31 - 1
_SIZES = re.compile(r"[0-9]{1,10}(,[0-9]{1,10})*\Z")


def options_of(query: Mapping[str, Any]) -> Options:
    """How the reader wants a report. RequestError for an `input_shape` or `rules` that cannot be."""
    batch = query.get("batch")
    shapes = query.get("input_shape")
    rules = query.get("rules")
    return Options(
        language=language(),
        batch=batch,
        input_shapes=None if shapes is None else input_shapes(shapes),
        rules=None if rules is None else chosen_rules(rules),
        level=query.get("level", "block"),
    )


def input_shapes(text: str) -> tuple[tuple[int, ...], ...]:
    """`224,224,3` or `128;128`: sizes of each input without the batch axis, all positive."""
    pieces = text.replace(" ", "").split(";")
    shapes = [tuple(map(int, piece.split(","))) for piece in pieces if _SIZES.match(piece)]
    if len(shapes) != len(pieces) or len(pieces) > MAX_INPUTS or not all(map(_is_shape, shapes)):
        raise RequestError(
            msg(
                "input_shape is the sizes of the input without the batch axis, such as 224,224,3: 1 to {axes} axes of "
                "1 to {size} each, and ; between several inputs.",
                axes=MAX_AXES,
                size=MAX_SIZE,
            ),
            pointer="input_shape",
        )
    return tuple(shapes)


def _is_shape(shape: tuple[int, ...]) -> bool:
    return len(shape) <= MAX_AXES and all(1 <= size <= MAX_SIZE for size in shape)


def chosen_rules(text: str) -> Rules | None:
    """`a,b`: these; `-a,-b`: all but these; `all` (None) and `none`."""
    words = [word.strip() for word in text.split(",")]
    if words in (["all"], ["none"]):
        return None if words == ["all"] else Rules(names=frozenset())
    names = frozenset(word.removeprefix("-") for word in words)
    known = rule_ids()
    unknown = sorted(names.difference(known, ("", "all", "none")))
    if unknown:
        raise RequestError(
            msg("There is no rule {rule}. The rules are: {rules}.", rule=unknown[0][:100], rules=known),
            pointer="rules",
            rules=list(known),
        )
    without = {word.startswith("-") for word in words}
    if len(without) != 1 or not names.issubset(known):
        raise RequestError(
            msg(
                "rules is all, none, the names of those that are wanted, or, each with a -, of those that are not; "
                "with commas between them."
            ),
            pointer="rules",
            rules=list(known),
        )
    return Rules(names=names, excluded=True in without)


def chosen_view(views: Sequence[View], named: str | None) -> View:
    """The representation that `?format=`, else `Accept`, asks for. NotAcceptable if there is none such."""
    if named is not None:
        view = next((view for view in views if view.name == named), None)
    elif not request.accept_mimetypes:
        view = views[0]
    else:
        wanted = request.accept_mimetypes.best_match([view.media_type for view in views])
        view = next((view for view in views if view.media_type == wanted), None)
    if view is None:
        raise NotAcceptable(
            msg("This is made as {formats}.", formats=tuple(view.name for view in views)),
            pointer="Accept" if named is None else "format",
            available=[view.media_type for view in views],
        )
    return view
