"""Blocks of models of very many layers: the same to whoever reads them, though few containers are taken apart."""

from __future__ import annotations

import pytest

from service.catalog.named import Stored, describe
from service.config import Limits
from service.enrich.blocks import build, tree
from service.enrich.pipeline import enrich
from service.tree import Model, ModelInfo

DECODER = {
    "self_attn.q_proj.weight": (8, 8), "self_attn.k_proj.weight": (4, 8), "self_attn.o_proj.weight": (8, 8),
    "mlp.up_proj.weight": (16, 8), "mlp.down_proj.weight": (8, 16), "input_layernorm.weight": (8,),
}  # fmt: skip
EXPERTS = {f"experts.{number}.{name}.weight": (4, 4) for number in range(3) for name in ("up_proj", "down_proj")}
ODD = {"mlp.up_proj.weight": (20, 8), "mlp.down_proj.weight": (8, 20), "input_layernorm.weight": (8,)}
STACKS = {
    "decoder": [DECODER] * 6,
    "experts": [{**DECODER, **EXPERTS}] * 5,
    "an odd one between": [DECODER] * 3 + [ODD] + [DECODER] * 3,
    "in turn": [DECODER, ODD] * 4,
    "one of each": [DECODER, ODD, EXPERTS],
}


def stacked(layers: list[dict[str, tuple[int, ...]]], *, towers: bool = False) -> Model:
    """A file of weights of these layers, one after the other, once or twice."""
    arrays = [
        Stored(name=f"{tower}layers.{number}.{name}", shape=shape, dtype="float32", bytes=4)
        for tower in (("vision.", "text.") if towers else ("",))
        for number, layer in enumerate(layers)
        for name, shape in layer.items()
    ]
    found = describe([Stored(name="embed.weight", shape=(9, 8), dtype="float32", bytes=4), *arrays], Limits())
    return Model(info=ModelInfo(format="safetensors", framework="torch"), layers=found.layers)


def outline(blocks, levels: int) -> list:
    """What a reader sees of them down to so many levels."""
    return [
        (one.name, one.kind, one.layers, one.repeats, one.occurrences, one.parameters,
         outline(one.blocks, levels - 1) if levels > 1 else None)
        for one in blocks
    ]  # fmt: skip


@pytest.mark.parametrize("towers", [False, True])
@pytest.mark.parametrize("name", STACKS)
def test_blocks_are_those_of_a_small_model(monkeypatch, name, towers):
    """Names, layers, repeats and parameters; down to the levels that are written for so many layers."""
    made = enrich(stacked(STACKS[name], towers=towers))
    monkeypatch.setattr(tree, "COARSE", 10)
    coarse = build.add_blocks(made)
    assert outline(coarse.blocks, 2) == outline(made.blocks, 2)
    assert sum(one.parameters for one in coarse.blocks) == sum(one.parameters for one in made.blocks)


def test_only_the_first_of_like_containers_is_taken_apart(monkeypatch):
    """And again what is shown: the first occurrence of each repeat."""
    monkeypatch.setattr(tree, "COARSE", 10)
    opened = []
    monkeypatch.setattr(tree._Tree, "_open", lambda it, at, make=tree._Tree._open: opened.append(at) or make(it, at))
    made = enrich(stacked([DECODER] * 20))
    assert [made.layers[at].path for at in opened] == ["layers.0", "layers", "layers.0.self_attn", "layers.0.mlp"]
