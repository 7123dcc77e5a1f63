"""Rules are found, documented, run or excused, bounded, and total on whatever an upload holds."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.enrich.findings.rule import Rule
from service.enrich.findings.run import MAX_FINDINGS, add_findings, rule_ids, rules
from service.language import msg
from service.measured import WeightStatistics
from service.tree import Finding, Layer, Model, ModelInfo
from service.vocabulary import KINDS, ROLES
from tests.builders import layer, model, weight
from tests.corpus import ROOT

PAGES = ROOT / "docs" / "rules"
SOURCES = ROOT / "service" / "enrich" / "findings" / "rules"
SECTIONS = ["What is found", "Why it matters", "Example", "What to do", "When it is fine", "Reference"]


def test_every_rule_is_one_module_and_one_page() -> None:
    """The names of modules, pages and rules are the same."""
    modules = {path.stem for path in SOURCES.glob("*.py") if path.stem != "__init__"}
    assert set(rule_ids()) == modules == {path.stem for path in PAGES.glob("*.md")}
    assert list(rule_ids()) == sorted(rule_ids())


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_pages_say_what_the_rules_say(rule: Rule) -> None:
    """A page has the rule's title and severity, says whether it needs values, and has all sections."""
    text = (ROOT / rule.page).read_text()
    first, second = text.splitlines()[:2]
    assert first == f"# {rule.title}"
    assert second.startswith(f"`{rule.id}` · severity: {rule.severity}")
    assert second.endswith("needs: values") is rule.needs_values
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert Path(rule.page).stem == rule.id


def norms(count: int) -> Model:
    """A Keras model of many normalisations whose momentum is PyTorch's."""
    layers = [layer(f"n{index}", "batch_norm", config={"momentum": 0.1}, inputs=()) for index in range(count)]
    return model("keras", *layers)


def test_findings_of_others_are_kept_and_own_ones_replaced() -> None:
    """Running twice gives what running once gives, behind what was there before."""
    other = Finding(rule="formula", severity="info", what=msg("A finding of another."))
    once = add_findings(msgspec.structs.replace(norms(2), findings=(other,)))
    assert [found.rule for found in once.findings] == ["formula", "unusual_momentum", "unusual_momentum"]
    assert add_findings(once) == once


def test_every_rule_says_what_it_did() -> None:
    """One entry per rule; whoever did not run has a reason."""
    found = add_findings(norms(1))
    assert [run.rule for run in found.rules] == list(rule_ids())
    assert all(run.ran or run.reason for run in found.rules)


def test_findings_are_complete() -> None:
    """What, why, what to do, where, and who says so."""
    (found,) = add_findings(norms(1)).findings
    assert (found.path, found.severity) == ("n0", "medium")
    assert None not in (found.why, found.action, found.reference)
    assert str(found.what) == (
        "momentum=0.1 of n0 keeps 0.1 of the moving statistics at each batch. In PyTorch's convention the same is 0.9; "
        "0.1 looks like a value of PyTorch's, which is 0.9 in Keras."
    )


def test_findings_are_bounded() -> None:
    """Of one rule only so many are kept, and the number of the others is told."""
    found = add_findings(norms(MAX_FINDINGS + 7))
    assert len(found.findings) == MAX_FINDINGS
    assert {str(run.reason) for run in found.rules if run.rule == "unusual_momentum"} == {
        "7 more findings of this rule are left out."
    }


def test_a_rule_says_what_it_could_not_see() -> None:
    """Rules that look at neighbours tell of how many layers the neighbours are not known."""
    net = Model(
        info=ModelInfo(format="torch_zip", framework="torch", type="Net"),
        layers=(layer("s", "container", type="Sequential"), layer("s.0", "linear", parent="s"),
                layer("s.1", "batch_norm", parent="s"), layer("head", "linear")),
    )  # fmt: skip
    reasons = {run.rule: str(run.reason) for run in add_findings(net).rules if run.ran}
    assert reasons["bias_before_normalization"] == (
        "The file does not say where the outputs of 2 layers go; this rule passed them over."
    )


def test_a_model_without_layers() -> None:
    """There is nothing to find, and nothing breaks."""
    assert add_findings(model("torch")).findings == ()


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_two_hundred_thousand_layers(framework: str) -> None:
    """The largest model that is read: a chain in which every third layer has a bias for nothing."""
    kinds = ("linear", "batch_norm", "activation")
    layers = [
        layer(
            str(index), kinds[index % 3], *([weight("bias", (4,), "bias")] if index % 3 == 0 else []),
            type=("Linear", "BatchNorm1d", "ReLU")[index % 3], inputs=(str(index - 1),) if index else (),
            config={"activation": "linear", "axis": -1},
        )
        for index in range(200_000)
    ]  # fmt: skip
    made = Model(info=ModelInfo(format="x", framework=framework, type="Sequential"), layers=tuple(layers))
    found = add_findings(made)
    assert str(found.findings[0].what).endswith("In all, 266,668 biases of 66,667 layers of this model are redundant.")


# Anything

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=4)
    | st.sampled_from(["linear", "relu", "softmax", "valid", "same", "channels_first"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["class_name", "config"]), inner),
    max_leaves=4,
)  # fmt: skip
_KEYS = ["activation", "axis", "momentum", "epsilon", "eps", "rate", "p", "padding", "strides", "stride", "kernel_size",
         "groups", "num_groups", "num_features", "mode", "data_format", "filters", "out_channels", "start_dim", "value",
         "keepdims", "training"]  # fmt: skip
_TYPES = ["Dense", "Linear", "Conv2d", "Flatten", "Identity", "Activation", "Sequential", "BatchNorm1d", "ZeroPad2d",
          "ZeroPadding2D", "AvgPool2d", "Softmax", None]  # fmt: skip
_PATHS = ["a", "b", "c", "d", "a.b", "a.c", "."]
_SHAPES = st.none() | st.lists(st.none() | st.integers(-1, 2**63), max_size=4).map(tuple)
_NUMBER = st.none() | st.integers(0, 2**63)
_FLOAT = st.none() | st.floats(allow_nan=False, allow_infinity=False)
_STATISTICS = st.none() | st.builds(
    WeightStatistics, status=st.sampled_from(["complete", "partial", "unavailable"]), count=_NUMBER, finite=_NUMBER,
    nan=_NUMBER, positive_infinity=_NUMBER, zeros=_NUMBER, negative=_NUMBER, min=_FLOAT, max=_FLOAT, linf=_FLOAT,
    constant=st.none() | st.booleans(), digest=st.none() | st.just("d"),
)  # fmt: skip
_WEIGHTS = st.builds(
    weight, name=st.sampled_from(["kernel", "bias"]), shape=_SHAPES, role=st.sampled_from(sorted(ROLES)),
    group=st.sampled_from(["trainable", "frozen", "statistic", "unknown", "other"]), statistics=_STATISTICS,
    layout=st.sampled_from([None, "out-in", "in-out"]), dtype=st.sampled_from([None, "float32", "int8"]),
)  # fmt: skip
_LAYERS = st.builds(
    Layer, path=st.sampled_from(_PATHS), name=st.just("x"), kind=st.sampled_from(sorted(KINDS)),
    type=st.sampled_from(_TYPES), parent=st.sampled_from([None, *_PATHS]), custom=st.booleans(),
    config=st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=6),
    weights=st.lists(_WEIGHTS, max_size=4).map(tuple),
    inputs=st.none() | st.lists(st.sampled_from([*_PATHS, "ghost"]), max_size=3).map(tuple),
    shared_with=st.sampled_from([None, None, None, *_PATHS]), trainable=st.none() | st.booleans(),
    input_shapes=st.none() | st.lists(_SHAPES.filter(lambda shape: shape is not None), max_size=2).map(tuple),
    output_shapes=st.none() | st.lists(_SHAPES.filter(lambda shape: shape is not None), max_size=2).map(tuple),
)  # fmt: skip
_MODELS = st.builds(
    Model, layers=st.lists(_LAYERS, max_size=7, unique_by=lambda one: one.path).map(tuple),
    info=st.builds(ModelInfo, format=st.sampled_from(["layer_list", "torch_zip", "torch_export"]),
                   framework=st.sampled_from(["keras", "torch"]), type=st.sampled_from([None, "Sequential", "Net"]),
                   tags=st.dictionaries(st.just("outputs"), _JSON)),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(_MODELS)
def test_rules_are_total(made: Model) -> None:
    """Whatever a config, a shape or an edge holds, every rule comes to an end without an error, and speaks."""
    for found in add_findings(made).findings:
        assert all(str(part) for part in (found.what, found.why, found.action))
