"""Chat templates: programs in Jinja that a careless loader would run. Knows what only an attack needs; renders nothing.

A template that only formats a conversation reads messages and writes text. To leave the sandbox it has to reach the
interpreter through an object's attributes. What it spells out is found as text, also where Jinja could not parse the
whole; what it computes is found by following values to the keys that they become (`template_flow`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from service.catalog.template_flow import TOO_LONG, worst
from service.language import Message, msg
from service.plain import text
from service.tree import Danger, Severity

REFERENCE = "CVE-2024-34359"
"""llama-cpp-python before 0.2.72 rendered the template of a loaded file without a sandbox."""
MAX_TEMPLATE = 1 << 20
"""Characters of a template that are looked at: the longest that models have are a tenth of that."""

_JOINED = re.compile(r"""(['"])\s*(?:[~+]\s*)?\1""")
_ESCAPED = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3})")
_LINE_END = re.compile(r"\r\n|\r|\n")
_OPEN = re.compile(r"\{[{%#]")
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}")
_END_RAW = re.compile(r"\{%[-+]?\s*endraw\b")
_TEXT = r"""'[^'\\]*(?:\\.[^'\\]*)*(?:'|\\?\Z)|"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)"""
"""A text; one that is never closed goes to the end, so that none is tried twice."""
_TOKEN = re.compile(_TEXT + r"|[}%]\}|[(\[{]|[)\]}]", re.DOTALL)
"""What decides where a block ends: its end within a text, or within brackets that are open, is none."""
_LITERAL = re.compile(_TEXT, re.DOTALL)

_INTERNALS = re.compile(
    r"__(?:class|bases?|mro|subclasses|globals|builtins|init|new|import|getattribute|getattr|dict|self|code|func|closure|"
    r"reduce|reduce_ex|call|loader|spec|module|wrapped|annotations|objclass|qualname)__|[.\[]\s*['\"]?__\w+__|"
    r"\b(?:gi_frame|gi_code|cr_frame|ag_frame|tb_frame|f_globals|f_builtins|func_globals|im_func|im_self)\b|\.\s*mro\s*\("
)
_BY_NAME = re.compile(
    r"\|\s*attr\b|\bmap\s*\(\s*['\"]attr['\"]|\bgetattr\b|\battribute\s*=\s*(?:['\"]_|(?=[^'\"\d\s]))|"
    r"\b(?:selectattr|rejectattr|groupby)\s*\(\s*(?=[^'\"\s)])|\.\s*format_map\b|\.\s*format\b(?!\s*\()"
)
_IN_PIECES = re.compile(
    r"['\"]%c['\"]\s*[|%]|['\"](?:__+|__\w*(?<!__)|(?!__)\w*__)['\"]|['\"]__\w+__['\"]\s*[|[]|['\"]_['\"]\s*\*|(?:['\"]_['\"]\s*[,~+]\s*){2}|"
    r"['\"](?:subclasses|globals|builtins|mro|popen|getattribute)['\"]"
)
_LOADS = re.compile(r"\{%[-+]?\s*(?:include|import|extends|from)\b")
_FORMATTED = re.compile(r"(?:%c){2}")
_HELPERS = re.compile(r"\b(?:cycler|joiner|lipsum|get_flashed_messages|url_for|self)\s*(?:\.|\[|\|)")
_CALLS = re.compile(r"\b(?:popen|Popen|check_output|system|import_module|eval|exec|open)\s*\(")

_WAYS: tuple[tuple[re.Pattern[str], bool, Callable[[str], Message]], ...] = (
    (_INTERNALS, True, lambda found: msg(
        "The chat template reaches for {name}: rendered without a sandbox it runs code.", name=found)),
    (_BY_NAME, True, lambda found: msg(
        "The chat template takes an attribute by a made-up name ({name}): so sandboxes are left.", name=found)),
    (_LOADS, True, lambda found: msg("The chat template loads another template: {name}.", name=found)),
    (_FORMATTED, True, lambda found: msg(
        "The chat template puts a name together from single characters: {name}.", name=found)),
    (_IN_PIECES, True, lambda found: msg(
        "The chat template puts a name together from pieces: {name}.", name=found)),
    (_HELPERS, False, lambda found: msg(
        "The chat template reaches into a helper of Jinja ({name}), from where the interpreter can be reached.",
        name=found)),
    (_CALLS, False, lambda found: msg(
        "The chat template calls {name}: that is no part of a conversation.", name=found)),
)  # fmt: skip
"""What to look for, whether also within quotation marks, and what to say of it."""


def template_danger(template: str, code: str, *, path: str | None = None, member: str | None = None) -> Danger | None:
    """What in a template shows that it is an attack, under this code; None if it formats conversations."""
    found = _spelled(template[:MAX_TEMPLATE]) or _computed(template[:MAX_TEMPLATE])
    if found is None:
        return unread_template(code, path=path, member=member) if len(template) > MAX_TEMPLATE else None
    severity, what, detail = found
    return Danger(code=code, severity=severity, path=path, member=member, what=what, detail=text(detail, 500),
                  reference=REFERENCE)  # fmt: skip


def unread_template(code: str, *, path: str | None = None, member: str | None = None) -> Danger:
    """Of a template that is longer than what is looked at: what stands behind that could be anything."""
    return Danger(code=code, severity="high", path=path, member=member, what=TOO_LONG, reference=REFERENCE)


def _spelled(template: str) -> tuple[Severity, Message, str] | None:
    """What stands in its program."""
    program = _spelled_out("\n".join(_blocks(template)))
    without_texts = _LITERAL.sub("''", program)
    for pattern, in_texts, say in _WAYS:
        searched = program if in_texts else without_texts
        found = pattern.search(searched)
        if found is not None:
            around = searched[max(0, found.start() - 100) : found.end() + 100]
            return "critical", say(text(found[0].rstrip("( "), 60)), around
    return None


def _computed(template: str) -> tuple[Severity, Message, str] | None:
    """What its values become; with the line."""
    found = worst(template)
    if found is None:
        return None
    lines = _LINE_END.split(template, maxsplit=found.line)
    return found.severity, found.what, lines[found.line - 1].strip() if found.line <= len(lines) else ""


def _blocks(template: str) -> Iterator[str]:
    """What Jinja takes for program: not text, comments, and what is quoted by `raw`."""
    opening = _OPEN.search(template)
    while opening is not None:
        if opening[0] == "{#":
            end = _behind(template.find("#}", opening.end()), template)
        else:
            end = _block_end(template, opening.end())
            yield template[opening.start() : end]
            if _RAW.match(template, opening.start()):
                quoted = _END_RAW.search(template, end)
                end = len(template) if quoted is None else quoted.start()
        opening = _OPEN.search(template, end)


def _behind(found: int, template: str) -> int:
    return len(template) if found < 0 else found + 2


def _block_end(template: str, at: int) -> int:
    """Where the block ends whose inside begins at `at`."""
    depth = 0
    while (token := _TOKEN.search(template, at)) is not None:
        at, one = token.end(), token[0]
        if one in _ENDS and not depth:
            return at
        if one in _OPENING:
            depth += 1
        elif one[0] in _CLOSING:
            depth -= 1 if depth else 0
            at = token.start() + 1
    return len(template)


_ENDS, _OPENING, _CLOSING = frozenset({"}}", "%}"}), frozenset("([{"), frozenset(")]}")


def _spelled_out(template: str) -> str:
    """The template with escaped characters as themselves and texts that it puts together as one."""
    return _JOINED.sub("", _ESCAPED.sub(_unescaped, template))


def _unescaped(found: re.Match[str]) -> str:
    digits = found[0].lstrip("\\xu")
    return chr(int(digits, 8 if len(digits) == 3 else 16))
