"""Random models, most of them nothing that a person would build: blocks lose nothing and invent nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from service.enrich import counts, totals
from service.enrich.blocks.build import add_blocks
from service.enrich.blocks.limiting import MOST
from service.enrich.blocks.parts import Part, positions
from service.enrich.blocks.signatures import COMPOSITE
from service.enrich.blocks.tree import parts_of
from service.enrich.likeness import alike
from service.tree import Block, Layer, Model
from service.vocabulary import KINDS
from tests.builders import layer, model, weight

NAMES = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["conv1_1", "conv1_2", "conv2_1", "block_3_a", "block_4_a", "0", "1", "2", "dense", "dense_1", "._-/"]
    ),
)
KIND = st.sampled_from(sorted(KINDS))
CONFIG = st.dictionaries(
    st.sampled_from(["units", "stride", "padding", "activation", "kernel_size"]),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Layers with any names, parents before them or nowhere, and inputs before, after, or of nothing."""
    framework = draw(st.sampled_from(["keras", "torch"]))
    graph = draw(st.booleans())
    paths: list[str] = []
    layers: list[Layer] = []
    for _ in range(draw(st.integers(0, 30))):
        name = draw(NAMES)
        parent = draw(st.sampled_from([None, *paths, "nowhere"])) if draw(st.booleans()) else None
        path = name if parent is None else f"{parent}.{name}"
        if path in paths:
            continue
        inputs = tuple(draw(st.lists(st.sampled_from([*paths, path, "later"]), max_size=3))) if graph else None
        sizes = draw(st.sampled_from([(), (2,), (2, 3), (None,), (2**62,)]))
        held = (weight("kernel", sizes, "kernel", draw(st.sampled_from(["trainable", "statistic"]))),)
        layers.append(
            layer(
                path,
                draw(KIND),
                *(held if draw(st.booleans()) else ()),
                parent=parent,
                inputs=inputs,
                type=draw(st.sampled_from([None, "Dense", "Sequential", "Add"])),
                config=draw(CONFIG),
            )
        )
        paths.append(path)
    return model(framework, *layers)


@st.composite
def chains(draw: st.DrawFn) -> tuple[Model, int, int]:
    """(a chain in which a word of distinct layers repeats, length of the word, times)."""
    word = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6, unique=True))
    times = draw(st.integers(2, 9))
    sizes = [100, *word * times, 200]
    layers = [
        layer(
            f"part_{at}", "linear", weight("kernel", (size, 7), "kernel"), inputs=(f"part_{at - 1}",) if at else ()
        )
        for at, size in enumerate(sizes)
    ]  # fmt: skip
    return model("keras", *layers), len(word), times


def every(blocks: tuple[Block, ...]) -> list[Block]:
    return [one for block in blocks for one in (block, *every(block.blocks))]


@settings(max_examples=200, deadline=None)
@given(models())
def test_each_layer_once_whatever_the_model(made: Model) -> None:
    """Every layer with weights or without layers of its own is in exactly one part; lists stay short, names apart."""
    parents = {one.parent for one in made.layers}
    wanted = [
        at for at, one in enumerate(made.layers) if one.weights or one.path not in parents or one.kind in COMPOSITE
    ]
    assert sorted(at for part in parts_of(made, alike(made.layers))[0] for at in positions(part)) == wanted
    blocks = add_blocks(made).blocks
    for siblings in [blocks, *(block.blocks for block in every(blocks))]:
        assert len(siblings) <= MOST
        assert len({block.name for block in siblings}) == len(siblings)


@settings(max_examples=200, deadline=None)
@given(models())
def test_sums_are_the_models_count(made: Model) -> None:
    """Parameters of the blocks add up to the totals, or one of them is unknown where a size is."""
    counted = totals.add_totals(made)
    assert counted.totals is not None
    parts = [block.parameters for block in add_blocks(counted).blocks]
    own, beside = counted.totals.parameters, counted.totals.statistics
    if own is not None and beside is not None:
        assert counts.add(parts) == (own if made.info.framework == "torch" else own + beside)
    else:
        assert None in parts or made.info.framework == "torch"


@settings(max_examples=200, deadline=None)
@given(chains())
def test_a_word_that_repeats_is_folded(chain: tuple[Model, int, int]) -> None:
    """A chain x (word) (word) ... y has three blocks, and the middle one repeats as often as the word."""
    made, length, times = chain
    before, repeat, after = add_blocks(made).blocks
    assert (before.repeats, repeat.repeats, after.repeats) == (1, times, 1)
    assert len(repeat.layers) == length
    assert repeat.parameters == sum(one.weights[0].count or 0 for one in made.layers[1:-1])


@settings(max_examples=200, deadline=None)
@given(models())
def test_occurrences_of_a_repeat_are_equal(made: Model) -> None:
    """What is folded has the same kinds and weight shapes in the same order, each time."""

    def shapes(part: Part) -> list[object]:
        held = sorted(positions(part))
        return [(made.layers[at].kind, [one.shape for one in made.layers[at].weights]) for at in held]

    waiting = parts_of(made, alike(made.layers))[0]
    while waiting:
        part = waiting.pop()
        if part.kind == "repeat":
            assert all(shapes(one) == shapes(part.parts[0]) for one in part.parts)
        waiting.extend(part.parts)


def test_many_distinct_layers_read_in_a_screen() -> None:
    """A thousand layers of which no two are equal: stages of neighbours, none longer than a list may be."""
    made = model(
        "keras",
        *(
            layer(f"d_{at}", "linear", weight("kernel", (at + 1, 3)), inputs=(f"d_{at - 1}",) if at else ())
            for at in range(1000)
        ),
    )
    blocks = add_blocks(made).blocks
    assert len(blocks) <= MOST
    assert all(len(block.blocks) <= MOST for block in every(blocks))


def test_deep_nesting_ends() -> None:
    """Fifteen hundred containers within one another give a tree of bounded depth."""
    layers, path = [], "x"
    for at in range(1500):
        parent = path if at else None
        path = f"{path}.x" if at else path
        layers.append(layer(path, "container", parent=parent))
        layers.append(layer(f"{path}.y", "linear", weight("kernel", (at + 1, 2)), parent=path))

    def depth(blocks: tuple[Block, ...]) -> int:
        return 1 + max((depth(block.blocks) for block in blocks), default=-1)

    assert depth(add_blocks(model("torch", *layers)).blocks) <= 6
