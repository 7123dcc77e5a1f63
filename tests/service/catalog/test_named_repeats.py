"""Blocks that repeat are found by their names, and described as if each had been looked at."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.catalog import named, named_repeats
from service.catalog.named import Stored, describe
from service.catalog.named_repeats import Repeats, repeats_of
from service.config import Limits
from service.errors import LimitExceeded
from service.tree import Location

BLOCK = (("attn.q.weight", (4, 4)), ("attn.q.bias", (4,)), ("mlp.up.weight", (8, 4)), ("norm.weight", (4,)))


def stored(name: str, shape: tuple[int, ...] | None = (2, 3), **more: object) -> Stored:
    return Stored(name, shape, "float32", **more)  # type: ignore[arg-type]


def block(prefix: str, held: tuple[tuple[str, tuple[int, ...]], ...] = BLOCK) -> list[Stored]:
    """The arrays of one block."""
    return [stored(f"{prefix}.{name}", shape) for name, shape in held]


def blocks(stem: str, numbers: range, held: tuple[tuple[str, tuple[int, ...]], ...] = BLOCK) -> list[Stored]:
    return [one for number in numbers for one in block(f"{stem}.{number}" if stem else f"{number}", held)]


def again(arrays: list[Stored]) -> dict[str, str]:
    """The layers that repeat another, with that one."""
    return {path: found.first for path, found in repeats_of(arrays).again.items()}


@pytest.mark.parametrize("stem", ["", "h", "model.layers", "a.b.c.d"])
def test_blocks_like_the_first_are_found(stem: str) -> None:
    """Whatever stands before the number; what is left keeps its order, with a mark where each of them was."""
    arrays = [stored("embed.weight"), *blocks(stem, range(3)), stored("head.weight")]
    found = repeats_of(arrays)
    first, second, third = (f"{stem}.{number}" if stem else f"{number}" for number in range(3))
    assert again(arrays) == {second: first, third: first}
    assert list(found.own) == [*arrays[:5], second, third, arrays[-1]]
    assert found.again[third].arrays == arrays[9:13]
    assert found.first == {first: arrays[1:5]}


def test_blocks_of_several_sorts_are_like_the_first_of_their_own() -> None:
    """In any order; stacks with the same blocks below other names are not the same."""
    other = (*BLOCK, ("extra.weight", (2, 2)))
    arrays = [one for number in range(6) for one in block(f"h.{number}", other if number % 3 else BLOCK)]
    assert again(arrays) == {"h.2": "h.1", "h.3": "h.0", "h.4": "h.1", "h.5": "h.1"}
    assert again([*blocks("h", range(2)), *blocks("other", range(2))]) == {"h.1": "h.0", "other.1": "other.0"}


def test_blocks_inside_of_others_that_do_not_repeat_are_found() -> None:
    """A wrapper with a number of its own, towers of different depth, a model in a list."""
    assert again(blocks("0.model.h", range(3))) == {"0.model.h.1": "0.model.h.0", "0.model.h.2": "0.model.h.0"}
    towers = [*blocks("towers.0.h", range(2)), *blocks("towers.1.h", range(3))]
    assert again(towers) == {
        "towers.0.h.1": "towers.0.h.0", "towers.1.h.1": "towers.1.h.0", "towers.1.h.2": "towers.1.h.0",
    }  # fmt: skip


def test_in_blocks_that_are_too_large_the_blocks_inside_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a model of two towers would have one of them looked at layer by layer."""
    towers = [*blocks("towers.0.h", range(3)), *blocks("towers.1.h", range(3))]
    assert again(towers) == {"towers.1": "towers.0"}
    monkeypatch.setattr(named_repeats, "_MOST", 10)
    assert set(again(towers)) == {f"towers.{tower}.h.{number}" for tower in range(2) for number in (1, 2)}


@pytest.mark.parametrize(
    "odd",
    [
        {"shape": (4, 5)}, {"dtype": "float16"}, {"bytes": 3}, {"stored_count": 2}, {"trainable": True},
        {"role": "bias"}, {"statistic": False}, {"group": "frozen"}, {"identity": 1}, {"content": b"x"},
        {"location": Location()}, {"name": "h.1.attn.k.weight"},
    ],
)  # fmt: skip
def test_a_block_with_another_array_is_another(odd: dict[str, object]) -> None:
    """Whatever it differs in, but for where it lies and what it is called in the file."""
    facts = {"name": "h.1.attn.q.weight", "shape": (4, 4), "dtype": "float32", **odd}
    assert again([*block("h.0"), Stored(**facts), *block("h.1")[1:]]) == {}  # type: ignore[arg-type]
    alike = Stored("h.1.attn.q.weight", (4, 4), "float32", stored_as="elsewhere")
    assert again([*block("h.0"), alike, *block("h.1")[1:]]) == {"h.1": "h.0"}


@pytest.mark.parametrize(
    "arrays",
    [
        [*block("h.0"), *block("h.1")[:2], stored("x.weight"), *block("h.1")[2:]],
        [*block("h.0"), *block("h.1"), stored("h.1.late.weight")],
        [stored(f"h.{number}.{name}") for number in range(3) for name in ("weight", "bias")],
        [stored(f"h.{number}.{name}") for number in range(3) for name in ("a.weight", "lora_A.weight")],
        [stored(f"h.{number}.{name}") for number in range(3) for name in ("a.weight", "weight.absmax")],
        [stored(f".{number}.{name}") for number in range(3) for name in ("a.weight", "b.weight")],
        [stored(f"{'a.' * 70}{number}.{name}") for number in range(3) for name in ("a.weight", "b.weight")],
        [stored(f"{'a' * 2000}.{number}.{name}") for number in range(3) for name in ("a.weight", "b.weight")],
        [stored(f"ä.{number}.{name}") for number in range(3) for name in ("a.weight", "b.weight")],
        [stored(f"h.{number}.a.weight") for number in range(3)],
    ],
    ids=["parted", "late", "own", "pair", "packed", "dot", "deep", "long", "letters", "single"],
)
def test_what_is_no_block_by_itself_is_looked_at_one_by_one(arrays: list[Stored]) -> None:
    """Arrays in two places, of the numbered layer itself or of one above, and names that are not shown as they are."""
    assert again(arrays) == {}
    assert list(repeats_of(arrays).own) == arrays


STEPS = st.sampled_from(["0", "1", "2", "h", "attn", "norm", "conv", "lora_A", "weight", "base_layer", "bn", "12"])
LEAVES = st.sampled_from(["weight", "bias", "running_mean", "running_var", "scale", "qweight", "q_proj_weight", "x"])
SHAPES = st.sampled_from([(4,), (4, 4), (8, 4), (4, 4, 3), (4, 4, 3, 3), (2, 4, 3, 3), (), None])
HELD = st.lists(
    st.tuples(st.lists(STEPS, max_size=2).map(".".join), LEAVES, SHAPES), min_size=1, max_size=5,
    unique_by=lambda one: one[:2],
)  # fmt: skip
STACKS = st.lists(st.tuples(st.lists(STEPS, max_size=2).map(".".join), st.lists(HELD, min_size=1, max_size=2),
                            st.integers(1, 4)), min_size=1, max_size=3)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(STACKS)
def test_repeated_blocks_are_described_as_if_each_had_been_looked_at(stacks) -> None:
    """Layers, kinds, roles, places and notes; of any names, also where blocks are in each other's way."""
    names: dict[str, tuple[int, ...] | None] = {}
    for stem, sorts, times in stacks:
        for number in range(times):
            for path, leaf, shape in sorts[number % len(sorts)]:
                names.setdefault(".".join(filter(None, (stem, str(number), path, leaf))), shape)
    arrays = [stored(name, shape, location=Location(offset=at)) for at, (name, shape) in enumerate(names.items())]
    found = describe(arrays, Limits())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(named, "repeats_of", Repeats)
        assert describe(arrays, Limits()) == found


def test_repeated_layers_and_weights_count_against_the_limits() -> None:
    """At the limit they pass, beyond it they do not."""
    arrays = blocks("h", range(50))
    total = len(describe(arrays, Limits()).layers)
    describe(arrays, Limits(layers=total, weights=len(arrays)))
    for limits in (Limits(layers=total - 1), Limits(weights=len(arrays) - 1)):
        with pytest.raises(LimitExceeded):
            describe(arrays, limits)


def test_a_million_digits_are_no_reason_to_take_long() -> None:
    """Names of digits and dots only: each is searched once."""
    arrays = [stored("1" * 50_000 + "." + "2." * 20 + f"{number}.x.weight") for number in range(20)]
    assert again(arrays) == {}
