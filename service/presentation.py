"""From a stored report to what a reader is shown: recosted, its rules chosen, in a language, as JSON or as a view.

Runs in the web process on typed data only; knows reports and views, no HTTP. Finished answers are kept, so that asking
again costs nothing. JSON of a large report is made layer by layer: it never stands in memory as a whole tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

import msgspec
from blake3 import blake3

from service import decoding
from service.basis import Frozen
from service.comparisons import Comparison
from service.enrich.cost.add import recost
from service.enrich.kinds.catalogue import kind
from service.enrich.sharing import like, whole
from service.jobs import reports
from service.jobs.analysis import VERSION
from service.jobs.records import StoredReport
from service.kept import Body, Kept
from service.kindinfo import KindInfo
from service.language import from_data, msg
from service.saying import Saying, decoded, outdated
from service.splicing import around
from service.translation import DEFAULT, Say, encoder, speaker
from service.tree import SCHEMA_VERSION, Block, Finding, Layer, Report, RuleRun
from service.views import (
    comparison_csv,
    comparison_html,
    comparison_markdown,
    comparison_text,
    csv_rows,
    escape,
    html,
    markdown,
    text,
)
from service.views.diagram.dot import dot
from service.views.diagram.mermaid import mermaid
from service.views.diagram.svg import svg

LAYERS_AT_ONCE = 64
_NOW = b'{"schema_version":"%s",' % SCHEMA_VERSION.encode()
"""How a report begins that the types of now have written."""
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
        quiet = lambda: map(escape.json, make())  # noqa: E731 - views but JSON hold nothing that it would change
        return self._kept.get((stored.etag, *asked), quiet, alone=stored.size > LARGE)


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
    return [rendered(decoded(_comparison, reports.text(stored)), view, options).encode("utf-8", "replace")]


def _typed(stored: StoredReport, options: Options) -> Report:
    try:
        report = reports.decode(stored)
    except msgspec.DecodeError:
        raise outdated() from None
    if options.recosts and not report.models:
        report = recost(report, options.batch or 1, options.input_shapes)
    ruled: Report = _ruled(report, options.rules)
    return ruled


def _whole(stored: StoredReport, options: Options) -> Report:
    """The report as views want it: every layer with what it shares with others."""
    report = _typed(stored, options)
    return msgspec.structs.replace(report, layers=whole(report.layers))


def _ruled(report: Any, rules: Rules | None) -> Any:
    """The report (or its outline) with the findings of these rules only; the others are said to be left out."""
    if rules is None:
        return report
    runs = (run if rules.hold(run.rule) else RuleRun(rule=run.rule, ran=False, reason=LEFT_OUT) for run in report.rules)
    findings = tuple(finding for finding in report.findings if rules.hold(finding.rule))
    return msgspec.structs.replace(report, findings=findings, rules=tuple(runs))


def _stored(stored: StoredReport, options: Options) -> Iterable[bytes]:
    """The stored report's JSON in pieces."""
    batches = reports.lines(stored)
    before, *layers = next(batches)
    saying = Saying(options.language, written_now=before.startswith(_NOW))
    parts: list[bytes] = []
    for following in batches:  # the last line holds no layer
        parts.append(b"".join(saying.stored(layers)))
        layers = following
    if not parts:
        return _in_one(before, saying, options)
    outline: Any = _ruled(decoded(decoding.outline, before + layers[0]), options.rules)
    return _pieces(outline, parts, encoder(options.language))


def _in_one(text: bytes, saying: Saying, options: Options) -> Iterable[bytes]:
    """The same of a report in one line."""
    outline: Any = _ruled(decoded(decoding.listing, text), options.rules)
    parts = (b",".join(saying.stored(map(bytes, some))) for some in _some(outline.layers))
    return _pieces(outline, _listed(parts), encoder(options.language))


def _recosted(report: Report, options: Options) -> Iterable[bytes]:
    """A report's JSON in pieces."""
    saying = Saying(options.language)
    return _pieces(report, _listed(map(saying.layers, _some(report.layers))), encoder(options.language))


def _some(layers: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """A few layers at a time."""
    return (layers[start : start + LAYERS_AT_ONCE] for start in range(0, len(layers), LAYERS_AT_ONCE))


def _listed(parts: Iterable[bytes]) -> Iterator[bytes]:
    """With a comma before each but the first."""
    return (b"," + part if number else part for number, part in enumerate(parts))


def _pieces(report: Any, parts: Iterable[bytes], said: msgspec.json.Encoder) -> Iterator[bytes]:
    """A report's JSON in pieces; `parts` are together the JSON of its layers, with commas between them."""
    before, behind = around(lambda text: said.encode(msgspec.structs.replace(report, layers=text)))
    return chain((before + b"[",), parts, (b"]" + behind,))


def find(stored: StoredReport, path: str, options: Options) -> Shown:
    """The layer at `path`; slashes around it do not matter. LookupError, or OutdatedReport as `Presenter.report`."""
    if options.recosts:
        report = _whole(stored, options)
        return _shown(report.layers[_place(path, [layer.path for layer in report.layers])], report)
    outline: Any = _ruled(decoded(decoding.outline, reports.text(stored)), options.rules)
    known = [found.path for found in decoded(_paths, outline.layers)]
    texts = decoded(_texts, outline.layers)
    layer = decoded(_layer, texts[_place(path, known)])
    if layer.like is not None:
        layer = like(layer, decoded(_layer, texts[_place(layer.like, known)]))
    return _shown(layer, outline)


def _place(path: str, known: Sequence[str]) -> int:
    places = {found: at for at, found in enumerate(known)}
    return places[path] if path in places else places[path.strip("/")]


def paths(stored: StoredReport) -> list[str]:
    """Paths of all layers."""
    outline: Any = decoded(decoding.outline, reports.text(stored))
    return [found.path for found in decoded(_paths, outline.layers)]


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
