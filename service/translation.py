"""Says a message in a language; knows the catalogues, not where messages come from.

The catalogues are gettext `.po` files, read when a language is first asked for. English is the language of the
templates themselves. A template without a translation is said in English.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Any

import msgspec
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from service import spacing
from service.language import VERBATIM, Message, as_data, fill, listed, shown

LANGUAGES = ("en", "zh-Hans", "zh-Hant")
"""BCP 47 tags of the languages that every sentence exists in."""
DEFAULT = "en"
CATALOGUES = Path(__file__).parent / "locale"

Say = Callable[[Message], str]
"""A speaker: a message in its language."""


def catalogue_path(language: str) -> Path:
    """Where the sentences of `language` are kept."""
    return CATALOGUES / language.replace("-", "_") / "LC_MESSAGES" / "weighbridge.po"


@cache
def speaker(language: str = DEFAULT) -> Say:
    """Who says messages in `language`; KeyError for one that is not in `LANGUAGES`."""
    if language not in LANGUAGES:
        raise KeyError(language)
    catalogue = _catalogue(language)
    pieces, items = ("".join, listed) if language == DEFAULT else (spacing.meet, spacing.listed)

    def say(message: Message, depth: int = 0) -> str:
        return fill(_template(message, catalogue), message.args, lambda value: shown(value, say, items, depth), pieces)

    return say


@cache
def encoder(language: str) -> msgspec.json.Encoder:
    """JSON with every message said in `language`."""
    say = speaker(language)

    def said(value: Any) -> Any:
        return say(value) if isinstance(value, Message) else as_data(value)

    return msgspec.json.Encoder(enc_hook=said)


def _catalogue(language: str) -> NullTranslations:
    path = catalogue_path(language)
    if language == DEFAULT:
        return NullTranslations()
    packed = io.BytesIO()
    with path.open("rb") as file:
        write_mo(packed, read_po(file, locale=language.replace("-", "_")))
    packed.seek(0)
    return GNUTranslations(packed)


def _template(message: Message, catalogue: NullTranslations) -> str:
    if message.plural is not None:
        n = dict(message.args).get("n")
        return catalogue.ngettext(message.id, message.plural, n if isinstance(n, int) else 2)
    return message.id if message.id == VERBATIM or not message.id else catalogue.gettext(message.id)
