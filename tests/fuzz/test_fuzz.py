"""A bounded, seeded run of the fuzzer, and the tools that it is made of. `make fuzz TIME=...` is the long form."""

from __future__ import annotations

import io
import json
import zipfile
from random import Random

import pytest

from service.registry import load_readers
from tests.fuzz import bytewise, dense, documents, shrinking, structured
from tests.fuzz.campaign import AT_ONCE, Campaign, Input, complaint, tried, wall
from tests.fuzz.finding import Finding, Order
from tests.fuzz.regressions import FOLDER, load
from tests.fuzz.seeds import seeds
from tests.fuzz.structured import Draw, Field, encoded, message

SEED, INPUTS = 20261121, 1200
KEPT = sorted(FOLDER.glob("*.json"))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """Behind every layer."""
    with wall(tmp_path_factory.mktemp("fuzz") / "run") as it:
        assert it.confinement("values").confined
        yield it


def test_every_format_has_something_to_start_from():
    """Whoever adds a reader adds a file of its format."""
    assert {reader.FORMAT.id for reader in load_readers()} <= {*seeds()}


def test_what_fuzzing_starts_from_is_read(sandbox):
    """All of it, and by the reader that it is listed under."""
    given = [(name, Input(parts, Order())) for name, all_of_it in seeds().items() for parts in all_of_it]
    for start in range(0, len(given), AT_ONCE):
        some = given[start : start + AT_ONCE]
        for (name, one), found in zip(some, tried(sandbox, [one for _, one in some]), strict=True):
            assert found.how == "answered", (name, list(one.parts), found)


def test_no_input_breaks_a_reader(sandbox):
    """Whatever is changed in a file: an answer or an error of ours, in two seconds and 500 MiB."""
    campaign = Campaign(sandbox, seeds(), SEED)
    campaign.run(lambda: campaign.tried >= INPUTS)
    assert {wrong: (name, found.story) for wrong, (name, _, found) in campaign.wrong.items()} == {}
    refused, answered = (sum(one.get(how, 0) for one in campaign.outcomes.values()) for how in ("refused", "answered"))
    assert refused + answered == campaign.tried
    assert min(refused, answered) > INPUTS // 5, "the changes are too light, or too heavy, to find much"


def test_what_once_broke_a_reader_breaks_none(sandbox):
    """Each was found by fuzzing, and made small."""
    assert KEPT
    given = [load(path) for path in KEPT]
    found = [one for start in range(0, len(given), AT_ONCE) for one in tried(sandbox, given[start : start + AT_ONCE])]
    assert {path.name: complaint(one) for path, one in zip(KEPT, found, strict=True) if complaint(one)} == {}


@pytest.mark.parametrize("name", dense.FILES)
def test_many_of_anything_are_answered_or_refused_fast(sandbox, name):
    """As many as fit: nothing takes more than in proportion. At a megabyte: `python -m tests.fuzz.dense`."""
    count, data = dense.filled(dense.FILES[name], 60_000)
    (found,) = tried(sandbox, [Input({"file": data}, Order())])
    assert count > 50
    assert found.how in ("answered", "refused")
    assert not complaint(found)


def test_a_child_that_does_not_come_back_is_told_from_its_neighbours(monkeypatch, sandbox):
    """Each input of the batch is done again, alone."""
    seen = []

    def run(_, given):
        seen.append(len(given))
        return [Finding(how="time")] if len(given) > 1 or given[0].order.seed else [Finding(how="refused")]

    monkeypatch.setattr("tests.fuzz.campaign._in_one_child", run)
    found = tried(sandbox, [Input({"a": b""}, Order(seed=seed)) for seed in (0, 1, 0)])
    assert [one.how for one in found] == ["refused", "time", "refused"]
    assert seen == [3, 1, 1, 1]


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (Finding(how="answered"), False), (Finding(how="refused", code="malformed_file"), False),
        (Finding(how="bug", code="KeyError"), True), (Finding(how="crash", code="SIGSEGV"), True),
        (Finding(how="time"), True), (Finding(how="memory"), True), (Finding(how="refused", seconds=2.1), True),
        (Finding(how="answered", peak=501 << 20), True),
    ],
)  # fmt: skip
def test_what_counts_as_wrong(found, wrong):
    """Everything but an answer or an error of ours, in time and in bounds."""
    assert bool(complaint(found)) is wrong


def chance(seed):
    """Repeatable, and not secret."""
    return Random(seed)  # noqa: S311


def changes(change, count=200):
    """Changes of a zip archive that holds a document."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("config.json", json.dumps({"layers": [{"units": 3}], "name": "x"}))
        archive.writestr("data", bytes(range(100)))
    return [change(written.getvalue(), chance(seed)) for seed in range(count)]


def test_the_same_seed_makes_the_same_changes():
    """So that a red run can be run again."""

    def both(data, draw):
        drawn = Draw(draw, bytewise.TOKENS, b"PK\x03\x04 another")
        return structured.changed(data, drawn), bytewise.changed(data, draw)

    assert changes(both) == changes(both)


def test_most_changes_keep_the_container_whole():
    """Else no reader would get to see them."""
    whole = 0
    for data in changes(lambda data, draw: structured.changed(data, Draw(draw, bytewise.TOKENS, data))):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                whole += archive.testzip() is None
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError):
            continue
    assert whole > 120


def test_every_structure_is_known_and_changed_within_its_rules():
    """Each has files here that it is known by, and can be taken apart and put together; else bytes alone change."""
    files = [content for given in seeds().values() for parts in given for content in parts.values()]
    known: dict[int, list[bytes]] = {at: [] for at in range(len(structured.CONTAINERS))}
    for content in files:
        at = next((at for at, (recognised, _) in enumerate(structured.CONTAINERS) if recognised(content)), None)
        if at is not None:
            known[at].append(content)
    assert all(known.values())
    different = {at: len(changed_within(at, some[0])) for at, some in known.items()}
    assert min(different.values()) > 3, different


def changed_within(at, content):
    """What the rules of a structure make of a file of it."""
    change = structured.CONTAINERS[at][1]
    return {change(content, Draw(chance(seed), bytewise.TOKENS, content), 0) for seed in range(8)}


def test_messages_are_taken_apart_and_put_together():
    """Whatever can be read as fields comes out the same."""
    held = encoded([Field(1, 0, 2**64 - 1), Field(2, 2, b"text"), Field(3, 5, b"1234")])
    outer = encoded([Field(7, 2, message(held)), Field(8, 1, b"12345678")])
    assert encoded(message(outer)) == outer


def test_documents_change_in_places_and_stay_documents():
    """At every depth, without touching the one they are made of."""
    document = {"a": [1, {"b": "x"}], "c": None}
    made = [documents.changed(document, chance(seed)) for seed in range(100)]
    assert document == {"a": [1, {"b": "x"}], "c": None}
    assert len({json.dumps(one) for one in made}) > 60


def test_what_is_wrong_is_made_small():
    """Files, members, values and bytes that it does not need are left out; the others become zeros."""

    def still_wrong(parts):
        return any(b"bug" in content for content in parts.values())

    assert shrinking.shrunk({"a": b"x" * 50, "b": b"12bug34", "c": b""}, still_wrong) == {"b": b"bug"}
    text = json.dumps({"a": [1, 2, {"deep": "a bug", "more": 1}], "b": 2}).encode()
    assert len(shrinking.shrunk({"a": text}, still_wrong)["a"]) == 3
