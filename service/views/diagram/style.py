"""The colours and fonts of an SVG diagram, in the light and in the dark; knows categories, no boxes."""

from __future__ import annotations

import re

from service.views.diagram.categories import CATEGORIES

CLASS = "diagram"
_SELECTORS = re.compile(r"([^{}]+)\{")
_LIGHT = """
svg{background:#fff;font-size:13px;
font-family:system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans CJK SC",sans-serif}
text{fill:#111827}.n{font-weight:600}.d,.s{fill:#4b5563}.d,.s,.l{font-size:11.5px}.h{font-size:18px;font-weight:600}
.b{stroke:#6b7280;stroke-width:1}.f{fill:#94a3b8;fill-opacity:.10;stroke:#94a3b8;stroke-width:1}.k{fill:none}
.e{fill:none;stroke:#64748b;stroke-width:1.4}.g{stroke-dasharray:5 4}.a{fill:#64748b}
.t{fill:#111827}.u{fill:#fff;font-weight:600;font-size:11.5px}
"""
_DARK = """
svg{background:#111827}text{fill:#f3f4f6}.d,.s{fill:#cbd5e1}.b{stroke:#94a3b8}.f{stroke:#64748b}.k{fill:none}
.e{stroke:#94a3b8}.a{fill:#94a3b8}.t{fill:#f3f4f6}.u{fill:#111827}
"""
"""n: name. d, s: description, size. l: legend and notes. h: heading. b: box. f, k: frame and the one behind it.
e, g, a: line, guessed line, arrow head. t, u: badge and its text. c-...: fill of a category."""


def style() -> str:
    """The style sheet. Every rule is bound to the class of the diagram, so that it can stand within a page."""
    light = _LIGHT + "".join(f".c-{one.id}{{fill:{one.light}}}" for one in CATEGORIES)
    dark = _DARK + "".join(f".c-{one.id}{{fill:{one.dark}}}" for one in CATEGORIES)
    return f"{_bound(light)}@media (prefers-color-scheme:dark){{{_bound(dark)}}}"


def _bound(rules: str) -> str:
    return _SELECTORS.sub(lambda found: f"{','.join(_within(one) for one in found[1].split(','))}{{", rules.strip())


def _within(selector: str) -> str:
    own = selector.strip()
    return f".{CLASS}" if own == "svg" else f".{CLASS} {own}"
