"""What the operations of a graph could do beyond computing, wherever they stand in it; knows graphs, no file format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from service.catalog.tf_names import REGISTERED
from service.catalog.tf_ops import dangers, depends, is_listed, touches
from service.catalog.tf_paths import Asset, assets, own
from service.catalog.tf_savers import OPERATIONS, suspects
from service.language import msg
from service.parsers.tensorflow_graph import MetaGraph
from service.parsers.tensorflow_nodes import Listed
from service.parsers.tensorflow_operations import Used, operations
from service.plain import text
from service.source import Source
from service.tree import Danger

MAX_LISTED = 50
"""Operations of other libraries, and files outside the folder."""
_MOST_KEPT = 10_000
"""Names of such operations that are counted: there are never that many."""
_REFERENCE = "https://www.tensorflow.org/guide/create_op"


def dangers_of_graph(source: Source, graph: Listed, said: MetaGraph | None, member: str | None) -> tuple[Danger, ...]:
    """Each dangerous operation once, and those of savers that are none; `said` is what stands about the graph."""
    kept: list[Used] = []
    foreign: dict[str, tuple[str, int]] = {}
    functions: set[str] = set()
    for one in operations(source, graph):
        if one.within == "function":
            functions.add(one.place)
        if one.op in OPERATIONS or depends(one.op) or touches(one.op, one.address):
            kept.append(one)
        elif one.op not in REGISTERED and not is_listed(one.op):
            place, count = foreign.get(one.op, (one.place, 0))
            if count or len(foreign) < _MOST_KEPT:
                foreign[one.op] = (place, count + 1)
    known = assets(source, said)
    plain = ((one.place, one.op) for one in kept if one.op not in OPERATIONS and not depends(one.op))
    found = dangers((*plain, *suspects(source, graph, said, kept), *own(source, graph, known, kept)), member)
    for name in functions:
        foreign.pop(name, None)
    return (*found, *_outside(known, member), *_foreign(foreign, member))


def _outside(known: Sequence[Asset], member: str | None) -> Iterator[Danger]:
    """Assets that are files of the host: a loader puts the name behind that of the folder, whatever it is."""
    for file in islice(dict.fromkeys(one.file for one in known if one.leads_outside), MAX_LISTED):
        yield Danger(
            code="tf_asset_outside",
            severity="high",
            what=msg("Loading the model opens another file, outside its own folder."),
            member=member,
            detail=text(file, 200),
        )


def _foreign(found: dict[str, tuple[str, int]], member: str | None) -> Iterator[Danger]:
    """Operations that TensorFlow does not have; the names of a graph's functions are operations as well."""
    for op, (place, count) in islice(found.items(), MAX_LISTED):
        name = text(op, 200)
        yield Danger(
            code="tf_custom_operation",
            severity="low",
            what=msg("This operator needs a library of its own, whose code runs with the model: {operator} (nodes: "
                     "{count}).", operator=name, count=count),
            path=text(place, 500) or None,
            member=member,
            detail=name,
            reference=_REFERENCE,
        )  # fmt: skip
    rest = len(found) - MAX_LISTED
    if rest > 0:
        what = msg("And {rest} more like these.", rest=rest)
        yield Danger(code="tf_custom_operation", severity="low", what=what, member=member)
