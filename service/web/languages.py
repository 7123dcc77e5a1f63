"""Which language an answer is in: `?lang=` before `Accept-Language`, English where neither helps. Knows no sentence."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Response, g, request

from service.translation import DEFAULT, LANGUAGES

SIMPLIFIED, TRADITIONAL = "zh-Hans", "zh-Hant"
TRADITIONAL_REGIONS = frozenset(("tw", "hk", "mo"))
"""Where Chinese without a script subtag is written in traditional characters (CLDR, likely subtags)."""


def named(tag: str) -> str | None:
    """The language that is called exactly so, letter case aside; None if there is none."""
    return next((language for language in LANGUAGES if language.lower() == tag.strip().lower()), None)


def understood(tag: str) -> str | None:
    """The language that serves a reader of `tag` (BCP 47), None if none does: `zh-HK` is served by `zh-Hant`."""
    primary, *rest = tag.strip().lower().replace("_", "-").split("-")
    if primary == "en":
        return DEFAULT
    if primary not in ("zh", "cmn"):
        return None
    if "hans" in rest:
        return SIMPLIFIED
    return TRADITIONAL if "hant" in rest or TRADITIONAL_REGIONS.intersection(rest) else SIMPLIFIED


def best(accepted: Iterable[tuple[str, float]]) -> str:
    """The language for a reader who accepts these tags with these weights (RFC 9110, 12.5.4; RFC 4647).

    A weight of 0 refuses; `*` stands for every language that is not refused.
    """
    wanted = sorted(accepted, key=lambda item: (-item[1], item[0] == "*"))
    refused = {understood(tag) for tag, weight in wanted if weight <= 0}
    for tag, weight in wanted:
        if weight > 0:
            served = _any_but(refused) if tag == "*" else understood(tag)
            if served is not None:
                return served
    return DEFAULT


def _any_but(refused: Iterable[str | None]) -> str | None:
    return next((language for language in LANGUAGES if language not in refused), None)


def language() -> str:
    """The language of the answer to this request; the answer will say so (`declare`)."""
    if "language" not in g:
        g.language = named(request.args.get("lang", "")) or best(request.accept_languages)
    found: str = g.language
    return found


def declare(response: Response) -> None:
    """Say which language an answer is in, if one was chosen for it, and that another reader may get another."""
    if "language" in g:
        response.headers["Content-Language"] = g.language
        response.vary.add("Accept-Language")
