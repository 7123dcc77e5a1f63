"""The catalogue of PyTorch's classes is complete, uses known words only, and does not take others for PyTorch's."""

from __future__ import annotations

import json

import pytest

from service.catalog.torch_layers import KINDS, kind_of, layout_of, role_of
from service.vocabulary import KINDS as WORDS
from service.vocabulary import ROLES
from tests.corpus import corpus_dir

CLASSES = [tuple(entry) for entry in json.loads((corpus_dir("torch_files") / "classes.json").read_text())]


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_every_class_of_torch_nn_has_a_kind(module: str, name: str) -> None:
    """Each class that torch.nn or torch.ao.nn exports is known under the module it is pickled with."""
    assert kind_of(module, name) in WORDS


def test_kinds_are_words_of_the_vocabulary() -> None:
    """No kind of its own."""
    assert set(KINDS.values()) <= set(WORDS)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("my.models", "Conv2d"),
        ("torchvision.models.resnet", "ResNet"),
        ("torch.nn.modules.conv", "MyConv"),
        (None, "Conv2d"),
    ],
)
def test_classes_of_others_have_none(module: str | None, name: str) -> None:
    """A like name elsewhere is the user's own class."""
    assert kind_of(module, name) is None


@pytest.mark.parametrize(
    ("kind", "name", "siblings", "role"),
    [
        ("linear", "weight", {"weight"}, "kernel"),
        ("batch_norm", "weight", {"weight"}, "scale"),
        ("batch_norm", "bias", {"bias"}, "offset"),
        ("embedding", "weight", {"weight"}, "embedding"),
        ("prelu", "weight", {"weight"}, "slope"),
        ("lstm", "weight_hh_l1_reverse", set(), "recurrent_kernel"),
        ("gru", "bias_hh_l0", set(), "recurrent_bias"),
        ("rnn_cell", "weight_ih", set(), "kernel"),
        ("conv1d", "weight_v", {"weight_g", "weight_v"}, "weight_v"),
        ("conv1d", "weight_v", {"weight_orig", "weight_v"}, "spectral_vector"),
        ("linear", "weight_orig", {"weight_orig"}, "kernel"),
        ("unknown", "running_var", set(), "moving_variance"),
        ("unknown", "weight", {"weight"}, None),
    ],
)
def test_roles(kind: str, name: str, siblings: set[str], role: str | None) -> None:
    """By kind, by name, and by what stands beside (a `weight_v` is two different things)."""
    assert role_of(kind, name, siblings) == role
    assert role is None or role in ROLES


@pytest.mark.parametrize(
    ("kind", "role", "rank", "layout"),
    [
        ("conv2d", "kernel", 4, "OIHW"),
        ("conv_transpose2d", "kernel", 4, "IOHW"),
        ("linear", "kernel", 2, "out-in"),
        ("linear", "bias", 1, None),
        ("conv2d", "kernel", 2, None),
        ("lstm", "recurrent_kernel", 2, "out-in"),
    ],
)
def test_layouts(kind: str, role: str, rank: int, layout: str | None) -> None:
    """Kernels only, and only with the rank that the kind has."""
    assert layout_of(kind, role, rank) == layout
