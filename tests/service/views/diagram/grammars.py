"""The grammars of DOT and of Mermaid flowcharts, as far as diagrams use them; ValueError for a text outside them.

DOT: https://graphviz.org/doc/info/lang.html. Mermaid: https://mermaid.js.org/syntax/flowchart.html.
"""

from __future__ import annotations

import re

_DOT = re.compile(r'\s*(?:("(?:[^"\\\n]|\\.)*")|([A-Za-z_][A-Za-z_0-9]*|-?[0-9]+)|(->|[{}\[\];,=]))')
_KEYWORDS = {"digraph", "subgraph"}


class Dot:
    """What a DOT text says: labels of nodes and clusters by identifier, and edges."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.labels: dict[str, str] = {}
        self.edges: list[tuple[str, str]] = []
        self._take("digraph")
        self._name()
        self._statements("graph")
        if self.tokens:
            raise ValueError(f"after the graph: {self.tokens[-1]}")

    def _take(self, *wanted: str) -> str:
        token = self.tokens.pop()
        if wanted and token not in wanted:
            raise ValueError(f"{token} instead of {wanted}")
        return token

    def _name(self) -> str:
        name = self._take()
        if not re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name) or name in _KEYWORDS:
            raise ValueError(f"no name: {name}")
        return name

    def _statements(self, around: str) -> None:
        self._take("{")
        while self.tokens[-1] != "}":
            if self.tokens[-1] == "subgraph":
                self._take()
                self._statements(self._name())
            else:
                self._statement(around)
            if self.tokens[-1] == ";":
                self._take()
        self._take("}")

    def _statement(self, around: str) -> None:
        name = self._name()
        if self.tokens[-1] == "=":
            self._take()
            value = self._take()
            if name == "label":
                self.labels[around] = _unquoted(value)
            return
        if self.tokens[-1] == "->":
            self._take()
            self.edges.append((name, self._name()))
        given = self._attributes() if self.tokens[-1] == "[" else {}
        if "label" in given:
            self.labels[name] = given["label"]

    def _attributes(self) -> dict[str, str]:
        found = {}
        self._take("[")
        while self.tokens[-1] != "]":
            name = self._name()
            self._take("=")
            found[name] = _unquoted(self._take())
            if self.tokens[-1] == ",":
                self._take()
        self._take("]")
        return found


def _tokens(text: str) -> list[str]:
    """In reverse, so that the next is at the end."""
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _DOT.match(text, at)
        if match is None:
            raise ValueError(f"no token at {text[at : at + 30]!r}")
        found.append(match[0].strip())
        at = match.end()
    return found[::-1]


def _unquoted(token: str) -> str:
    return (
        re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], token[1:-1]) if token[0] == '"' else token
    )


_LABEL = r'"((?:[^"#&<>`\\;\n]|#\d+;|<br/>)*)"'
_LINES = {
    "node": re.compile(rf"b(\d+)\[{_LABEL}\]:::([a-z]+)"),
    "frame": re.compile(rf"subgraph b(\d+)\[{_LABEL}\]"),
    "end": re.compile(r"end"),
    "edge": re.compile(r"b(\d+) (-->|-\.->) b(\d+)"),
    "comment": re.compile(r"%% (?:[^#&<>`\\;%{}\n]|#\d+;)*"),
    "class": re.compile(r"classDef [a-z]+ fill:#[0-9a-f]{6},stroke:#[0-9a-f]{6},color:#[0-9a-f]{6}"),
}


def mermaid(text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """(labels of nodes and frames by number, edges) of a flowchart; ValueError for any line of another form."""
    first, *rest = text.rstrip("\n").split("\n")
    if first != "flowchart TD":
        raise ValueError(first)
    labels: dict[str, str] = {}
    edges, depth = [], 0
    for line in rest:
        kind, match = next(
            ((kind, match) for kind, form in _LINES.items() if (match := form.fullmatch(line.strip()))), (None, None)
        )
        if kind is None or match is None:
            raise ValueError(line)
        if kind in ("node", "frame"):
            labels[match[1]] = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), match[2])
        if kind == "edge":
            edges.append((match[1], match[3]))
        depth += {"frame": 1, "end": -1}.get(kind, 0)
    if depth:
        raise ValueError("frames do not close")
    return labels, edges
