"""Tensors that torch.nn.utils.parametrize keeps inside a layer belong to the layer that they are computed for."""

from __future__ import annotations

import pytest

from service.catalog.torch_parametrized import computed, parametrized_role, split_name

Sizes = tuple[int, ...]


@pytest.mark.parametrize(
    ("full", "path", "name"),
    [
        ("a.b.parametrizations.weight.original0", "a.b", "parametrizations.weight.original0"),
        ("parametrizations.weight.original", "", "parametrizations.weight.original"),
        ("a.parametrizations.weight.0._u", "a.parametrizations.weight.0", "_u"),
        ("a.parametrizations.weight.origin", "a.parametrizations.weight", "origin"),
        ("a.weight", "a", "weight"),
        ("weight", "", "weight"),
    ],
)
def test_whose_a_weight_is(full: str, path: str, name: str) -> None:
    """The layer's own are `original` with or without a number; what a parametrisation keeps stays where it is."""
    assert split_name(full) == (path, name)


def stored(*shapes: Sizes | None, stem: str = "weight") -> dict[str, Sizes | None]:
    """Parts of one parametrised tensor: a single `original`, or numbered ones."""
    numbers = [""] if len(shapes) == 1 else range(len(shapes))
    return {f"parametrizations.{stem}.original{number}": shape for number, shape in zip(numbers, shapes, strict=True)}


@pytest.mark.parametrize("lengths", [(4, 1), (1, 3), (), (1, 1)])
def test_weight_norm(lengths: Sizes) -> None:
    """Lengths along one axis or of the whole, and directions: the kernel has the directions' shape."""
    held = {"bias": (4,), **stored(lengths, (4, 3))}
    assert computed(held) == {"bias": (4,), "weight": (4, 3)}
    assert [parametrized_role("linear", name, held) for name in held] == [None, "weight_g", "weight_v"]


@pytest.mark.parametrize("parts", [((4, 3), (4, 3)), ((5, 1), (4, 3)), ((4,), (4, 3)), (None, (4, 3)),
                                   ((4, 1), (4, 3), (2,))])  # fmt: skip
def test_other_pairs_are_not_called_weight_norm(parts: tuple[Sizes | None, ...]) -> None:
    """Two parts of other shapes, or three: what they make is not known."""
    held = stored(*parts)
    assert computed(held) == {}
    assert {parametrized_role("linear", name, held) for name in held} == {"parameter"}


def test_a_single_original_has_the_role_of_what_it_makes() -> None:
    """spectral_norm and orthogonal keep shape and role, of recurrent kernels and biases too."""
    assert computed(stored((4, 3))) == {"weight": (4, 3)}
    roles = [
        parametrized_role(kind, next(iter(stored((4, 3), stem=stem))), {})
        for kind, stem in (("linear", "weight"), ("unknown", "weight"), ("lstm", "weight_hh_l0"), ("linear", "bias"))
    ]
    assert roles == ["kernel", "kernel", "recurrent_kernel", "bias"]
