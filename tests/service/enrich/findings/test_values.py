"""Rules about values, on files that the frameworks wrote with one thing wrong in each."""

from __future__ import annotations

import functools

import pytest

from service.config import Limits
from service.enrich.findings.run import add_findings
from service.formats import Upload
from service.registry import identify, load_readers
from service.source import FileSource, Meter
from service.tree import Model
from service.values.measure import measure
from tests.corpus import corpus_dir
from tests.service.enrich.findings.builds import said

VALUE_RULES = {
    "bad_variance", "batch_norm_never_trained", "constant_weights", "duplicate_weights", "huge_values",
    "non_finite_values", "tiny_gamma", "zero_weights",
}  # fmt: skip

TORCH = {
    "healthy.pt": set(),
    "half.pt": set(),
    "fresh_norms.pt": {("batch_norm_never_trained", "1", "medium"), ("batch_norm_never_trained", "6", "medium")},
    "small_gammas.pt": {("tiny_gamma", "1", "info")},
    "negative_variance.pt": {("bad_variance", "1", "high")},
    "zero_variance.pt": {("bad_variance", "6", "low")},
    "zero_kernel.pt": {("zero_weights", "9", "medium")},
    "zero_channel.pt": {("zero_weights", "3", "info")},
    "zero_bias.pt": set(),
    "one_value.pt": {("constant_weights", "11", "medium")},
    "copied.pt": {("duplicate_weights", "3", "low")},
    "tied.pt": set(),
    "not_a_number.pt": {("non_finite_values", "9", "critical")},
    "infinite.pt": {("non_finite_values", "9", "critical")},
    "huge.pt": {("huge_values", "11", "medium")},
    "tied_but_stored_twice.pt": {("duplicate_weights", "0", "low")},
}
KERAS = {
    "healthy": set(),
    "fresh_norms": {("batch_norm_never_trained", "norm", "medium")},
    "small_gammas": {("tiny_gamma", "norm", "info")},
    "negative_variance": {("bad_variance", "norm", "high")},
    "zero_kernel": {("zero_weights", "wide", "medium")},
    "one_value": {("constant_weights", "classes", "medium")},
    "copied": {("duplicate_weights", "second", "low")},
    "not_a_number": {("non_finite_values", "norm", "critical")},
    "huge": {("huge_values", "classes", "medium")},
}


@functools.cache
def inspected(corpus: str, name: str) -> Model:
    """The model in a file, measured, with its findings."""
    with (corpus_dir(corpus) / name).open("rb") as opened:
        meter = Meter(Limits())
        upload = Upload({"upload": FileSource(opened.fileno(), meter)}, meter)
        model = identify(upload, load_readers()).read(upload)
        assert isinstance(model, Model)
        return add_findings(measure(upload, model, lambda done, total: None))


def of_values(model: Model) -> set[tuple[str, str | None, str]]:
    """(rule, layer, severity) of the findings about values."""
    return {(found.rule, found.path, found.severity) for found in model.findings if found.rule in VALUE_RULES}


@pytest.mark.parametrize("name", TORCH)
def test_torch_modules(name: str) -> None:
    """What was planted is found at its place, and nothing else."""
    assert of_values(inspected("torch_planted", name)) == TORCH[name]


@pytest.mark.parametrize("name", [name for name in TORCH if name not in ("healthy.pt", "tied_but_stored_twice.pt")])
def test_torch_state_dicts(name: str) -> None:
    """Values need no graph and no classes: a state_dict has the same findings."""
    assert of_values(inspected("torch_planted", name.replace(".pt", "_state.pt"))) == TORCH[name]


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", KERAS)
def test_keras_models(name: str, ending: str) -> None:
    """What was planted is found at its place, and nothing else, in both formats."""
    assert of_values(inspected("keras_planted", f"{name}.{ending}")) == KERAS[name]


@pytest.mark.parametrize(
    ("name", "rule", "sentence"),
    [
        ("fresh_norms.pt", "batch_norm_never_trained",
         "All 8 moving means of 1 are 0 and all its moving variances are 1."),
        ("small_gammas.pt", "tiny_gamma", ("3 of 8 channels of 1 have a gamma below 0.00098 in size; 2 of them have "
         "0. The first of them, counted from 0: 2, 5 and 7.")),
        ("negative_variance.pt", "bad_variance", "1 of 8 moving variances of 1 are negative, down to -0.5."),
        ("zero_channel.pt", "zero_weights", "2 of 8 output channels of weight of 3 are 0 throughout."),
        ("one_value.pt", "constant_weights", "All 64 values of weight of 11 are 0.25."),
        ("copied.pt", "duplicate_weights", "weight of 3 holds the same 576 values as 1 weight elsewhere: in 5."),
        ("infinite.pt", "non_finite_values", "Of the 16 values of bias of 9, 0 are NaN and 2 are infinite."),
        ("huge.pt", "huge_values", "The largest value of weight of 11 is 300000 in size."),
    ],
)  # fmt: skip
def test_sentences_give_the_numbers(name: str, rule: str, sentence: str) -> None:
    """Each finding says what was seen, in numbers."""
    assert said(inspected("torch_planted", name), rule)[0] == sentence


def test_a_tied_matrix_that_is_stored_twice_is_not_called_untied() -> None:
    """Its values tell: it is reported as stored twice only."""
    assert said(inspected("torch_planted", "tied_but_stored_twice.pt"), "untied_embeddings") == []


def test_rules_about_values_run_only_with_values() -> None:
    """Without statistics each of them says why it did not run; with statistics each ran."""
    model = inspected("torch_planted", "healthy.pt")
    assert {run.rule for run in model.rules if run.ran} >= VALUE_RULES
    bare = add_findings(Model(info=model.info, layers=()))
    reasons = {run.rule: str(run.reason) for run in bare.rules if not run.ran}
    assert {reasons[rule] for rule in VALUE_RULES} == {"The values of the weights were not read; ask with stats=true."}
