"""What is known while a chat template is followed: names in their scopes, what outlives them, and what was found.

Knows which names a template is given and by whom; must not know expressions or statements.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jinja2 import nodes

from service.catalog.template_parsing import TooLong
from service.catalog.template_values import DATA, MADE, MIXED, NOTHING, Atom, Value, holding, items, join
from service.language import Message
from service.tree import Severity

MAX_STEPS = 100_000
"""Expressions that are looked at, over all passes, and parts of what is kept: ten times what models need."""
WIDENED = 4
"""The pass from which texts that still grow count as made by the template."""

_DATA_NAMES = frozenset({"messages", "tools", "documents", "add_generation_prompt"})
"""What all who let a conversation be formatted give. Other names the file's author can give, as special tokens."""
_FUNCTIONS = frozenset({
    "range", "dict", "lipsum", "cycler", "joiner", "namespace", "raise_exception", "strftime_now", "self", "caller",
    "super", "get_flashed_messages", "url_for", "gettext", "ngettext", "_",
})  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Something that the template does: how bad, what to say of it, and in which line."""

    severity: Severity
    what: Message
    line: int


@dataclass
class Flow:
    """What does not end with a scope: attributes of namespaces, arguments of macros, what was put into containers."""

    kept: dict[str, Value] = field(default_factory=dict)
    parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    found: dict[Severity, Finding] = field(default_factory=dict)
    steps: int = 0
    number: int = 0
    changed: bool = False

    def step(self, weight: int = 1) -> None:
        """One more expression, or a value of so many parts.

        Raises:
            TooLong: If they are too many.
        """
        self.steps += weight
        if self.steps > MAX_STEPS:
            raise TooLong

    def keep(self, key: str, value: Value) -> None:
        """Joins it to what is known by this key; what changes is seen in the next pass."""
        known = self.known(key)
        joined = join((known, value))
        self.step(len(joined))
        if joined == known and key in self.kept:
            return
        if self.number >= WIDENED:
            joined = MADE | frozenset(atom for atom in joined if atom.kind != "text")
        self.changed = self.changed or joined != known
        self.kept[key] = joined

    def known(self, key: str) -> Value:
        """What was kept."""
        return self.kept.get(key, NOTHING)

    def items(self, value: Value) -> Value:
        """What a loop over it gives, and what the template itself put into it."""
        put = [self.known(f"list {atom.name}") for atom in value if atom.kind == "list"]
        if put or not value.isdisjoint(DATA):
            put.append(self.known("any list"))
        return join((items(value), *put))

    def parts(self, value: Value) -> Value:
        """What it gives to each of several names at once: of a text, single characters."""
        return join(MADE if atom.kind == "text" else self.items(frozenset({atom})) for atom in value)

    def report(self, severity: Severity, what: Message, node: nodes.Node) -> None:
        """The first of each severity is kept."""
        self.found.setdefault(severity, Finding(severity, what, node.lineno))


@dataclass
class Scope:
    """Names, and what lies around them.

    Attributes:
        is_late: Its program runs at another time than where it stands: names around it may have changed by then.
    """

    flow: Flow
    outer: Scope | None = None
    is_late: bool = False
    names: dict[str, Value] = field(default_factory=dict)

    def within(self, *, is_late: bool = False) -> Scope:
        """One in this."""
        return Scope(self.flow, self, is_late)

    def bind(self, name: str, value: Value) -> None:
        """From here on the name has this value."""
        self.names[name] = value
        self.flow.keep(f"name {name}", value)

    def value(self, name: str) -> Value:
        """What the name may mean here."""
        scope: Scope | None = self
        is_late = False
        while scope is not None and name not in scope.names:
            self.flow.step()
            is_late = is_late or scope.is_late
            scope = scope.outer
        value = _given(name) if scope is None else scope.names[name]
        return join((value, self.flow.known(f"name {name}"))) if is_late else value

    def merge(self, branches: list[Scope], *, is_one_taken: bool) -> None:
        """After branches, a name has the value of one of them, or the one before."""
        taken: dict[str, list[Value]] = {}
        for branch in branches:
            for name, value in branch.names.items():
                taken.setdefault(name, []).append(value)
        for name, values in taken.items():
            if not is_one_taken or len(values) < len(branches):
                values.append(self.value(name))
            self.names[name] = join(values)


def _given(name: str) -> Value:
    """A name that the template does not set: data, a function, or perhaps a special token, which the author chose."""
    if name in _DATA_NAMES:
        return DATA
    if name in _FUNCTIONS:
        return frozenset({Atom("function", name)})
    return join((MIXED, holding("list", "", MIXED))) if name.endswith("_tokens") else MIXED
