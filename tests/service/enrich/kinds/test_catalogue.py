"""The catalogue of kinds: complete, readable without a model, and right by the frameworks' own words."""

from __future__ import annotations

import re

import pytest

from service.catalog.keras_classes import KIND_OF_CLASS
from service.catalog.torch_layers import KINDS as TORCH_KINDS
from service.enrich.explain import rules
from service.enrich.kinds.catalogue import kind, kinds
from service.enrich.kinds.titles import TITLES
from service.kindinfo import KindInfo
from service.language import Message
from service.vocabulary import KINDS, ROLES
from tests.service.enrich.explanations import random_layers

EACH = pytest.mark.parametrize("info", kinds(), ids=lambda info: info.kind)
WITHOUT_FORMULA = {"quantization"}
"""Kinds with a rule whose weights depend on what was packed."""


def test_every_kind_is_there_in_the_order_of_the_vocabulary() -> None:
    """None missing, none twice; a word that is none has no entry."""
    assert [info.kind for info in kinds()] == list(KINDS) == list(TITLES)
    assert kind("lstm") is not None
    assert kind("toaster") is None


def test_every_kind_with_a_rule_is_told_in_full() -> None:
    """What the explanations can explain, the catalogue can tell."""
    for name in set(rules()) - WITHOUT_FORMULA:
        info = kind(name)
        assert info is not None
        assert info.has_weights
        assert all((info.weights, info.formulas, info.terms, info.examples, info.references, info.differences)), name


@EACH
def test_an_entry_says_something_of_its_weights(info: KindInfo) -> None:
    """A kind without weights says so; one with weights has a table, or says why it has none."""
    assert info.weights or info.notes
    assert info.has_weights or not info.weights
    assert all(weight.role in ROLES for weight in info.weights)


@EACH
def test_symbols_are_explained(info: KindInfo) -> None:
    """Every word in a formula is one of the terms."""
    known = sorted((term.symbol for term in info.terms), key=len, reverse=True)
    for found in info.formulas:
        if "..." in found.formula:
            continue
        rest = found.formula
        for symbol in known:
            rest = rest.replace(symbol, "")
        assert re.fullmatch(r"[\d\s×+()/]*", rest), (info.kind, found.formula, rest)


@EACH
def test_examples_are_of_classes_of_the_kind(info: KindInfo) -> None:
    """Each is a class that the catalogue of the framework puts under this kind."""
    tables = {"keras": KIND_OF_CLASS, "torch": TORCH_KINDS}
    for example in info.examples:
        assert tables[example.framework][example.layer.partition("(")[0]] == info.kind
        assert sum(part.count for part in example.parts) >= example.total


def test_the_known_numbers() -> None:
    """The three numbers people ask for most."""
    found = {example.layer: example.formula for info in kinds() for example in info.examples}
    assert found["BatchNormalization()"] == "4 × 512 = 2048"
    assert found["BatchNorm2d(512)"] == "2 × 512 = 1024"
    assert found["GRU(4)"] == "3 × (10 × 4 + 4 × 4 + 4 + 4) = 192"


def test_options_are_arguments_of_the_classes() -> None:
    """An option that the random layers draw, and that changes a count, is in the catalogue."""
    drawn = {
        (framework, name)
        for framework, make in (("keras", random_layers.keras_layers), ("torch", random_layers.torch_layers))
        for one in make(400, 1)
        for name in one["arguments"]
    }
    told = {(option.framework, name) for info in kinds() for option in info.options for name in option.name.split(", ")}
    switches = {
        "use_bias",
        "scale",
        "center",
        "renorm",
        "reset_after",
        "groups",
        "depth_multiplier",
        "use_gate",
        "bias",
        "affine",
        "elementwise_affine",
        "kdim",
        "num_layers",
        "bidirectional",
        "proj_size",
        "add_bias_kv",
        "num_parameters",
        "shared_axes",
        "use_scale",
        "lora_rank",
        "value_dim",
        "key_dim",
    }
    wanted = {(framework, name) for framework, name in drawn if name in switches}
    assert wanted - told == set()


@EACH
def test_sentences_have_all_their_places_filled(info: KindInfo) -> None:
    """Nothing in braces is left."""
    said: list[Message] = [info.title, info.summary, *info.notes, *info.differences]
    said += [one for weight in info.weights for one in (weight.meaning, weight.when) if one]
    said += [option.effect for option in info.options] + [term.meaning for term in info.terms]
    said += [one for example in info.examples for one in (example.text, example.expert)]
    assert not [str(one) for one in said if re.search(r"[{}]", str(one))]
