"""Layers decoded with sharing are the layers that were encoded, and equal pieces are one object."""

from __future__ import annotations

import msgspec
import pytest

from service import decoding, light, wire
from service.costs import ByDtype, Extents, LayerCost, Quantity
from service.enrich import pipeline
from service.language import as_data, from_data, msg
from service.tree import Layer, Model
from tests import builders

EVERY = {**light.IN_LAYER, **light.IN_COST}


def many(count: int = 5) -> Model:
    """Layers of two sorts, one after the other, fully enriched."""
    kernel = builders.weight("kernel", (4, 4), "kernel", layout="in-out")
    layers = [
        builders.layer(f"l{at}", "linear", kernel, type="Dense", inputs=(f"l{at - 1}",) if at else ())
        if at % 2 == 0
        else builders.layer(f"l{at}", "activation", type="ReLU", inputs=(f"l{at - 1}",), notes=(msg("odd"),))
        for at in range(count)
    ]
    return pipeline.enrich(builders.model("keras", *layers))


def encoded(layers: tuple[Layer, ...]) -> bytes:
    """As they are sent and stored."""
    return msgspec.json.encode(layers, enc_hook=as_data)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_layers_come_back_as_they_were(count):
    """Sharing changes no value: explanation, notes, every quantity of the cost and all else are equal."""
    layers = many(count).layers
    assert decoding.decode_layers(encoded(layers)) == layers


def test_a_layer_with_nothing_but_its_names_gets_the_defaults():
    """Fields that the JSON leaves out are what the type says."""
    bare = Layer(path="a", name="a", kind="linear")
    assert decoding.decode_layers(b'[{"path": "a", "name": "a", "kind": "linear"}]') == (bare,)


def test_equal_pieces_are_one_object():
    """The third layer's explanation is the first's, not another that is equal."""
    found = decoding.decode_layers(encoded(many().layers))
    assert found[0].explanation is not None
    assert found[0].explanation is found[2].explanation
    assert found[0].cost.macs is found[2].cost.macs


def test_beyond_what_is_remembered_all_is_still_right(monkeypatch):
    """More distinct pieces than are kept are decoded each time, and told apart."""
    monkeypatch.setattr(light, "MAX_KNOWN", 1)
    layers = many().layers
    assert decoding.decode_layers(encoded(layers)) == layers


def test_objects_are_told_apart_by_what_they_are_not_by_a_freed_address():
    """`once` gives the made thing again for the same object only, however many come and go."""
    given = decoding.once(lambda name, value: (name, value[0]))
    assert [given("a", [number]) for number in range(1000)] == [("a", number) for number in range(1000)]


@pytest.mark.parametrize("kind", [Layer, LayerCost])
def test_every_field_with_sentences_is_shared(kind):
    """A field that holds a sentence and is in neither table would be encoded in no language: none is forgotten."""
    has_sentences = {"explanation", "notes", "macs", "flops", "activation_elements", "activation_bytes",
                     "parameter_bytes", "receptive_field", "stride"}  # fmt: skip
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    assert {name for name in types if name in has_sentences} == {name for name in EVERY if name in types}
    assert all(types[name] == EVERY[name] for name in types if name in EVERY)


@pytest.mark.parametrize(
    "layer",
    [
        '{"path": "a", "name": "a", "kind": "linear", "explanation": {"formula": 3}}',
        '{"path": "a", "name": "a", "kind": "linear", "notes": [{"id": 1}]}',
        '{"path": "a", "name": "a", "kind": "linear", "cost": {"macs": 1}}',
        '{"path": "a", "name": "a", "kind": "linear", "more": 1}',
        '{"path": "a", "name": "a"}',
    ],
)
def test_what_is_not_a_layer_is_refused(layer):
    """The pieces are as strict as the whole."""
    text = f"[{layer}]".encode()
    with pytest.raises(msgspec.DecodeError):
        decoding.decode_layers(text)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(text, type=tuple[Layer, ...], dec_hook=from_data)


def test_an_answer_crosses_the_wall_unchanged():
    """What a child encodes is what its parent has."""
    answer = wire.Answer(model=many(), reader="x", bytes_read=7)
    assert wire.decode_answer(wire.encode(answer)) == answer


def lines(text: bytes) -> list[bytes]:
    """A list of layers, checked."""
    return decoding.Checker().checked_list(msgspec.Raw(text))


def test_layers_that_are_passed_on_are_not_decoded(monkeypatch):
    """They are checked, and encoded as the JSON that they came as; to whoever looks they are layers."""
    layers = many().layers
    text = encoded(layers)
    with monkeypatch.context() as patched:
        patched.setattr(decoding, "decode_layers", None)
        held = decoding.Layers(lines(text))
        model = msgspec.structs.replace(many(), layers=held)
        assert text in wire.encode(wire.Answer(model=model))
    assert held == layers
    assert (len(held), held[1], held[1:3], list(held)) == (5, layers[1], layers[1:3], list(layers))
    assert held != layers[1:]
    assert decoding.Layers([]) == ()


@pytest.mark.parametrize("known", [1, light.MAX_KNOWN])
def test_pieces_are_checked_before_layers_are_passed_on(monkeypatch, known):
    """A sentence that is none, wherever it stands in the last layer, is found without looking at it."""
    monkeypatch.setattr(light, "MAX_KNOWN", known)
    text = encoded(many().layers)
    last = text.rindex(b'{"path"')
    assert b"".join(lines(text)).count(b"\n") == 4
    places = [at for at in range(last, len(text)) if text.startswith(b'"id":"', at)]
    assert len(places) > 8
    for at in places:
        with pytest.raises(msgspec.DecodeError):
            lines(text[:at] + b'"id":3,"x":"' + text[at + 6 :])
    for bad in (text[:-1] + b",3]", b"{}", b"", b"[[]]"):
        with pytest.raises(msgspec.DecodeError):
            lines(bad)


@pytest.mark.parametrize(
    "bad",
    [
        b"", b"\n", b"%s\n", b"\n%s", b"%s\n\n%s", b"%s%s", b"[%s]", b"%s,\n%s",
        b'{"path":"a","name":\n"a","kind":"b"}%s',
        b'{"path":"a","name":"a","kind":"b","config":{"x":[{}\n,{}]}}',
        b'{"path":"a","name":"a\nb","kind":"b"}',
    ],
)  # fmt: skip
def test_a_line_is_one_layer(bad):
    """Neither less nor more, nor part of one: whoever takes lines apart later does not look again."""
    one = encoded(many(1).layers)[1:-1]
    assert decoding.Checker().checked(one + b"\n" + one) == one + b"\n" + one
    with pytest.raises(msgspec.DecodeError):
        decoding.Checker().checked(bad.replace(b"%s", one))


def test_quantities_of_every_sort_are_decoded():
    """A cost whose fields are all set comes back."""
    number = Quantity(value=1, status="complete", method=msg("a"), assumptions=(msg("b"),))
    size = ByDtype(value={"float32": 4}, status="partial", method=None, assumptions=())
    extent = Extents(value=(1, 2), status="complete")
    cost = LayerCost(macs=number, flops=number, activation_elements=number, activation_bytes=number,
                     parameter_bytes=size, receptive_field=extent, stride=None, calls=3)  # fmt: skip
    layer = Layer(path="a", name="a", kind="linear", cost=cost)
    assert decoding.decode_layers(encoded((layer,))) == (layer,)
