"""From a stored report to what a reader is shown: recosted, its rules chosen, in a language, as JSON or as a view.

Runs in the web process on typed data only; knows reports and views, no HTTP. Finished answers are kept, so that asking
again costs nothing. JSON of a large report is made layer by layer: it never stands in memory as a whole tree.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from blake3 import blake3

from service import decoding
from service.basis import Frozen
from service.comparisons import Comparison
from service.enrich.cost.add import recost
from service.enrich.kinds.catalogue import kind
from service.enrich.sharing import like, whole
from service.errors import OutdatedReport
from service.jobs import reports
from service.jobs.analysis import VERSION
from service.jobs.records import StoredReport
from service.kept import Body, Kept
from service.kindinfo import KindInfo
from service.language import from_data, msg
from service.translation import DEFAULT, Say, encoder, speaker
from service.tree import SCHEMA_VERSION, Block, Finding, Layer, Report, RuleRun
from service.views import (
    comparison_csv,
    comparison_html,
    comparison_markdown,
    comparison_text,
    csv_rows,
    html,
    markdown,
    text,
)
from service.views.diagram.dot import dot
from service.views.diagram.mermaid import mermaid
from service.views.diagram.svg import svg

LAYERS_AT_ONCE = 64
_PATH = b'{"path":"'
_NOTES = b',"notes":'
_NO_NOTES = b',"notes":[]}'
_SENTENCE = b'{"id":'
"""How a stored layer begins, what stands before its notes, which are its last field, and how a sentence begins."""
LARGE = 1 << 20
"""JSON bytes from which a report is worked on by one request at a time."""
MOST_LISTED = 10_000
"""Most layers that text and Markdown list: whoever reads further wants CSV or JSON, which hold all."""
LEFT_OUT = msg("It was left out by ?rules=.")


class Rules(Frozen, frozen=True, kw_only=True):
    """Rules of findings: these, or all but these."""

    names: frozenset[str]
    excluded: bool = False

    def hold(self, rule: str) -> bool:
        """Whether `rule` is one of them."""
        return (rule in self.names) != self.excluded


class Options(Frozen, frozen=True, kw_only=True):
    """How a reader wants a report. None: as it is stored; `rules` are those whose findings are shown."""

    language: str = DEFAULT
    batch: int | None = None
    input_shapes: tuple[tuple[int, ...], ...] | None = None
    rules: Rules | None = None
    level: str = "block"

    @property
    def recosts(self) -> bool:
        """Whether costs are other than the stored ones."""
        return self.batch is not None or self.input_shapes is not None


Render = Callable[[Any, Say, Options], str]


class View(msgspec.Struct, frozen=True):
    """One representation: its name, its media type, and how it is made; `render` None is JSON."""

    name: str
    media_type: str
    render: Render | None = None


def _plain(render: Callable[[Any, Say], str]) -> Render:
    return lambda shown, say, _options: render(shown, say)


def _listing(render: Callable[[Report, Say], str]) -> Render:
    return lambda report, say, _options: render(_first(report), say)


def _first(report: Report) -> Report:
    """The report with its first layers only, if they are more than anybody reads, and a note that says so."""
    left_out = len(report.layers) - MOST_LISTED
    if left_out <= 0:
        return report
    note = msg(
        "The first {shown} layers are listed; {left_out} more are left out here. CSV and JSON hold all.",
        shown=MOST_LISTED,
        left_out=left_out,
    )
    return msgspec.structs.replace(report, layers=report.layers[:MOST_LISTED], notes=(note, *report.notes))


def _drawn(draw: Callable[[Report, Say, Any], str]) -> Render:
    return lambda report, say, options: draw(report, say, options.level)


JSON = View("json", "application/json")
REPORT_VIEWS = (
    JSON,
    View("text", "text/plain", _listing(text.render)),
    View("csv", "text/csv", _plain(csv_rows.render)),
    View("markdown", "text/markdown", _listing(markdown.render)),
    View("html", "text/html", _plain(html.render)),
    View("svg", "image/svg+xml", _drawn(svg)),
    View("dot", "text/vnd.graphviz", _drawn(dot)),
    View("mermaid", "text/vnd.mermaid", _drawn(mermaid)),
)
COMPARISON_VIEWS = (
    JSON,
    View("text", "text/plain", _plain(comparison_text.render)),
    View("csv", "text/csv", _plain(comparison_csv.render)),
    View("markdown", "text/markdown", _plain(comparison_markdown.render)),
    View("html", "text/html", _plain(comparison_html.render)),
)


class Shown(Frozen, frozen=True, kw_only=True):
    """One layer with what else the report says of it. `blocks`: names of those around it, outermost first."""

    layer: Layer
    findings: tuple[Finding, ...]
    kind: KindInfo | None
    block: str | None
    blocks: tuple[str, ...]


class _Path(msgspec.Struct):
    """All that is read of a layer to find it."""

    path: str


_texts = msgspec.json.Decoder(list[msgspec.Raw])
_layer = msgspec.json.Decoder(Layer, dec_hook=from_data)
_paths = msgspec.json.Decoder(list[_Path])
_comparison = msgspec.json.Decoder(Comparison, dec_hook=from_data)
_T = TypeVar("_T")


class Presenter:
    """Makes answers and keeps them. One for each web process."""

    def __init__(self) -> None:
        self._kept = Kept()

    def report(self, stored: StoredReport, view: View, options: Options) -> Body:
        """A report in a representation. OutdatedReport if another version stored what this one cannot read."""
        return self._made(stored, (view.name, options), lambda: _report(stored, view, options))

    def comparison(self, stored: StoredReport, view: View, options: Options) -> Body:
        """A comparison in a representation; as JSON it is the comparison alone. Raises as `report`."""
        return self._made(stored, (view.name, options), lambda: _compared(stored, view, options))

    def layer(self, stored: StoredReport, asked: tuple[Any, ...], around: Callable[[Shown], Any]) -> Body:
        """JSON of `around(what is shown)` of a layer; `asked`: its path, the options, what else `around` depends on.

        LookupError if there is no such layer; raises as `report` does.
        """
        path, options = asked[:2]
        return self._made(
            stored, ("layer", *asked), lambda: [encoder(options.language).encode(around(find(stored, path, options)))]
        )

    def _made(self, stored: StoredReport, asked: tuple[Any, ...], make: Callable[[], Iterable[bytes]]) -> Body:
        return self._kept.get((stored.etag, *asked), make, alone=stored.size > LARGE)


def tag(stored: StoredReport, *asked: Any) -> str:
    """The entity tag of an answer made of `stored` as `asked`; another version of the service may answer otherwise."""
    return str(blake3(repr((VERSION, stored.etag, asked)).encode("utf-8", "replace")).hexdigest()[:32])


def rendered(shown: Report | Comparison, view: View, options: Options) -> str:
    """A report or comparison in one of its representations."""
    if view.render is None and isinstance(shown, Report):
        return b"".join(_recosted(shown, options)).decode()
    if view.render is None:
        return encoder(options.language).encode(shown).decode()
    return view.render(shown, speaker(options.language), options)


def _report(stored: StoredReport, view: View, options: Options) -> Iterable[bytes]:
    if view is JSON:
        return _recosted(_typed(stored, options), options) if options.recosts else _stored(stored, options)
    return [rendered(_whole(stored, options), view, options).encode("utf-8", "replace")]


def _compared(stored: StoredReport, view: View, options: Options) -> Iterable[bytes]:
    return [rendered(_decoded(_comparison, reports.text(stored)), view, options).encode("utf-8", "replace")]


def _typed(stored: StoredReport, options: Options) -> Report:
    try:
        report = reports.decode(stored)
    except msgspec.DecodeError:
        raise _outdated() from None
    if options.recosts and not report.models:
        report = recost(report, options.batch or 1, options.input_shapes)
    ruled: Report = _ruled(report, options.rules)
    return ruled


def _whole(stored: StoredReport, options: Options) -> Report:
    """The report as views want it: every layer with what it shares with others."""
    report = _typed(stored, options)
    return msgspec.structs.replace(report, layers=whole(report.layers))


def _decoded(decoder: msgspec.json.Decoder[_T], data: bytes | msgspec.Raw) -> _T:
    try:
        return decoder.decode(data)
    except msgspec.DecodeError:
        raise _outdated() from None


def _outdated() -> OutdatedReport:
    return OutdatedReport(msg("The stored answer is of another version of the service, which this one cannot read."))


def _ruled(report: Any, rules: Rules | None) -> Any:
    """The report (or its outline) with the findings of these rules only; the others are said to be left out."""
    if rules is None:
        return report
    runs = (run if rules.hold(run.rule) else RuleRun(rule=run.rule, ran=False, reason=LEFT_OUT) for run in report.rules)
    findings = tuple(finding for finding in report.findings if rules.hold(finding.rule))
    return msgspec.structs.replace(report, findings=findings, rules=tuple(runs))


def _stored(stored: StoredReport, options: Options) -> Iterator[bytes]:
    """The stored report's JSON in pieces."""
    outline: Any = _ruled(_decoded(decoding.listing, reports.text(stored)), options.rules)
    texts = outline.layers
    told = _Told(encoder(options.language), written_now=outline.schema_version == SCHEMA_VERSION)
    parts = (told.stored(texts[start : start + LAYERS_AT_ONCE]) for start in range(0, len(texts), LAYERS_AT_ONCE))
    return _pieces(outline, parts, encoder(options.language))


def _recosted(report: Report, options: Options) -> Iterator[bytes]:
    """A report's JSON in pieces."""
    told = _Told(encoder(options.language))
    starts = range(0, len(report.layers), LAYERS_AT_ONCE)
    parts = (told.layers(report.layers[start : start + LAYERS_AT_ONCE]) for start in starts)
    return _pieces(report, parts, encoder(options.language))


def _pieces(report: Any, parts: Iterable[bytes], said: msgspec.json.Encoder) -> Iterator[bytes]:
    """A report's JSON in pieces; each part is the JSON of a few layers, with commas between them.

    A random word stands for the layers in the JSON of everything else: no name of an upload can contain it.
    """
    word = secrets.token_hex(16).encode()
    before, _, after = said.encode(msgspec.structs.replace(report, layers=msgspec.Raw(word))).partition(word)
    yield before + b"["
    for number, part in enumerate(parts):
        yield b"," + part if number else part
    yield b"]" + after


class _Told:
    """Makes JSON in a language of layers, a few at a time; what layers say alike is said once.

    `written_now`: the stored JSON was written by the types of now, so that it lacks no field.
    """

    def __init__(self, said: msgspec.json.Encoder, *, written_now: bool = False) -> None:
        self._said = said
        self._written_now = written_now
        self._told = decoding.once(self._tell)
        self._endings: dict[bytes, bytes] = {}

    def layers(self, layers: Sequence[Any]) -> bytes:
        """JSON of layers, whose sentences may still be JSON."""
        return self._said.encode([self._layer(layer) for layer in layers])[1:-1]

    def stored(self, texts: Sequence[msgspec.Raw]) -> bytes:
        """JSON of layers from their stored JSON: as it is but for their notes, where nothing else has sentences."""
        parts: list[bytes] = []
        for layer in map(bytes, texts):
            at = layer.rfind(_NOTES) if self._written_now else -1
            if at < 0 or not layer.startswith(_PATH) or layer.find(_SENTENCE, 0, at) >= 0:
                return self.layers(_decoded(decoding.light_layers, b"[" + b",".join(texts) + b"]"))
            # In a text a quotation mark has a backslash before it, so that `,"notes":` is a key; and what stands
            # between it and the brace that ends the layer is a value by itself, so that it is the layer's own.
            parts.append(layer if layer.endswith(_NO_NOTES) else layer[:at] + self._ending(layer[at:]))
        return b",".join(parts)

    def _ending(self, text: bytes) -> bytes:
        """The end of a layer, from its notes on, with these in a language."""
        known = self._endings.get(text)
        if known is None:
            known = _NOTES + bytes(self._told("notes", msgspec.Raw(text[len(_NOTES) : -1]))) + b"}"
            if len(self._endings) < decoding.MAX_KNOWN:
                self._endings[text] = known
        return known

    def _layer(self, layer: Any) -> Any:
        """The layer with everything that has sentences as JSON in a language."""
        values = {name: self._told(name, getattr(layer, name)) for name in decoding.IN_LAYER}
        if layer.cost is not None:
            cost = {name: self._told(name, getattr(layer.cost, name)) for name in decoding.IN_COST}
            values["cost"] = msgspec.structs.replace(layer.cost, **cost)
        return msgspec.structs.replace(layer, **values)

    def _tell(self, name: str, value: Any) -> msgspec.Raw:
        if isinstance(value, msgspec.Raw):
            value = _read(name, value)
        return msgspec.Raw(self._said.encode(value))


def _read(name: str, raw: msgspec.Raw) -> Any:
    try:
        return decoding.decode_piece(name, raw)
    except msgspec.DecodeError:
        raise _outdated() from None


def find(stored: StoredReport, path: str, options: Options) -> Shown:
    """The layer at `path`; slashes around it do not matter. LookupError, or OutdatedReport as `Presenter.report`."""
    if options.recosts:
        report = _whole(stored, options)
        return _shown(report.layers[_place(path, [layer.path for layer in report.layers])], report)
    outline: Any = _ruled(_decoded(decoding.outline, reports.text(stored)), options.rules)
    known = [found.path for found in _decoded(_paths, outline.layers)]
    texts = _decoded(_texts, outline.layers)
    layer = _decoded(_layer, texts[_place(path, known)])
    if layer.like is not None:
        layer = like(layer, _decoded(_layer, texts[_place(layer.like, known)]))
    return _shown(layer, outline)


def _place(path: str, known: Sequence[str]) -> int:
    places = {found: at for at, found in enumerate(known)}
    return places[path] if path in places else places[path.strip("/")]


def paths(stored: StoredReport) -> list[str]:
    """Paths of all layers."""
    outline: Any = _decoded(decoding.outline, reports.text(stored))
    return [found.path for found in _decoded(_paths, outline.layers)]


def _shown(layer: Layer, report: Any) -> Shown:
    chain = _holding(report.blocks, layer.path)
    return Shown(
        layer=layer,
        findings=tuple(finding for finding in report.findings if finding.path == layer.path),
        kind=kind(layer.kind),
        block=chain[-1] if chain else None,
        blocks=chain,
    )


def _holding(blocks: tuple[Block, ...], path: str) -> tuple[str, ...]:
    """Names of the blocks around a layer, outermost first; () if none holds it.

    Of a repeat only the first occurrence is spelled out; a layer of another one is held by the occurrence that its path
    begins with.
    """
    waiting: list[tuple[Block, tuple[str, ...]]] = [(block, ()) for block in blocks]
    best: tuple[str, ...] = ()
    while waiting:
        block, above = waiting.pop()
        names = (*above, block.name)
        if path not in block.layers:
            within = [found for found in block.occurrences if path.startswith((f"{found}.", f"{found}/"))]
            names = (*names, max(within, key=len)) if within else ()
        best = max(best, names, key=len)
        waiting.extend((inner, (*above, block.name)) for inner in block.blocks)
    return best
