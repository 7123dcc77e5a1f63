"""Costs held against torch.utils.flop_counter, torchinfo and forward hooks on the same models.

Where a tool disagrees, the test states by which rule, and that the rule explains the whole difference
(docs/cost.md tells it in words).
"""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

from service.tree import Layer, Model
from tests import builders
from tests.building import answer
from tests.enriching import add_costs
from tests.service.enrich.cost.tools import built, by_path, costed, folder, measured, read, total

MODELS = sorted(name for name in measured("torch") if name != "random")


def model(name: str) -> Model:
    """A model of the driver, costed for the batch that the tools saw."""
    facts = measured("torch")[name]
    if facts["how"] == "export":
        return add_costs(read(folder("torch") / f"{name}.pt2"), facts["batch"])
    return add_costs(read(folder("torch") / f"{name}.pt"), facts["batch"], (tuple(facts["input"]),))


@pytest.mark.parametrize("name", MODELS)
def test_macs_are_half_the_flops_of_the_flop_counter(name: str) -> None:
    """Two FLOPs per multiply-accumulate of matrix products and convolutions, to the last one (oneDNN off)."""
    found = total(model(name)).macs
    assert (found.value, found.status) == (measured("torch")[name]["flop_counter_without_onednn"] // 2, "complete")


def test_the_flop_counter_misses_an_lstm_that_onednn_runs() -> None:
    """On a CPU with oneDNN an LSTM is one operation that flop_counter has no formula for: the rest agrees."""
    facts, costs = measured("torch")["text"], by_path(model("text"))
    lstm = costs["lstm"].macs.value
    assert lstm
    assert facts["flop_counter"] == facts["flop_counter_without_onednn"] - 2 * lstm


@pytest.mark.parametrize("name", MODELS)
def test_output_shapes_are_those_that_forward_hooks_saw(name: str) -> None:
    """Where no shape is stored, sizes follow the input through the chain exactly as PyTorch's own run."""
    made, facts = model(name), measured("torch")[name]
    costs = by_path(made)
    seen = {path: prod(shape) for path, shape in facts["outputs"].items() if path in costs}
    inside = {layer.parent for layer in made.layers}
    found = {
        path: costs[path].activation_elements.value
        for path in seen
        if path not in inside and costs[path].calls == 1  # hooks saw the last call, files record the first
    }
    assert found == {path: seen[path] for path in found}
    assert len(found) >= 4


def said_by_torchinfo(layer: Layer, output: list[int]) -> int:
    """What torchinfo 1.8 says: every weight once per example, in convolutions per output position, biases too."""
    sizes = {weight.name: weight.count or 0 for weight in layer.weights if weight.group == "trainable"}
    if layer.kind in ("lstm", "gru"):
        return prod(output[:2]) * sum(sizes.values())
    places = prod(output[2:]) if (layer.type or "").startswith("Conv") else 1
    return output[0] * places * sum(sizes.values())


@pytest.mark.parametrize("name", MODELS)
def test_torchinfo_counts_by_another_rule_which_explains_every_difference(name: str) -> None:
    """Mult-adds of a convolution are our MACs and its bias.

    A transposed one goes by output positions; a linear layer forgets positions; normalisations and embeddings count
    their weights once; attention is not counted at all.
    """
    facts = measured("torch")[name]
    made = model(name)
    layers = {layer.path: layer for layer in made.layers}
    for path, claimed in facts["torchinfo_layers"].items():
        assert claimed == said_by_torchinfo(layers[path], facts["outputs"][path]), path
    costs = by_path(made)
    for path, layer in layers.items():
        output = facts["outputs"].get(path)
        if output and layer.kind in ("conv1d", "conv2d", "conv3d"):
            bias = sum(weight.count or 0 for weight in layer.weights if weight.role == "bias")
            assert facts["torchinfo_layers"][path] == (costs[path].macs.value or 0) + bias * prod(output) // output[1]


def test_random_convolutions_agree_with_pytorch() -> None:
    """300 configurations with groups, dilation, strides, padding (`same` too) and transposition: FLOPs and shapes."""
    entries = measured("torch")["random"]
    assert len(entries) == 300
    for entry in entries:
        made = costed(
            "torch", _conv(entry), batch=entry["input"][0], inputs=(tuple(entry["input"][1:]),), type="Sequential"
        )
        found = by_path(made)["0"]
        assert found.macs.value == entry["flops"] // 2, entry
        assert found.activation_elements.value == prod(entry["output"]), entry


def test_random_convolutions_without_weights_agree_too() -> None:
    """The kernel's size follows from the arguments where the weights are not there."""
    for entry in measured("torch")["random"]:
        if "Transpose" in entry["type"]:
            continue
        made = costed("torch", _conv(entry, weights=False), batch=entry["input"][0],
                      inputs=(tuple(entry["input"][1:]),), type="Sequential")  # fmt: skip
        assert by_path(made)["0"].macs.value == entry["flops"] // 2, entry


def _conv(entry: dict[str, Any], *, weights: bool = True) -> Layer:
    roles = {"weight": "kernel", "bias": "bias"}
    held = [builders.weight(name, tuple(shape), roles[name]) for name, shape in entry["weights"].items()]
    kind = f"conv{'_transpose' if 'Transpose' in entry['type'] else ''}{entry['type'][-2]}d"
    return builders.layer("0", kind, *(held if weights else []), type=entry["type"], config=entry["config"])


def test_a_spec_costs_what_the_same_modules_cost() -> None:
    """The transformer as a layer list, with its length open until it is asked for, costs as the pickled one."""
    encoder = {"type": "TransformerEncoderLayer", "d_model": 32, "nhead": 4, "dim_feedforward": 64, "batch_first": True}
    spec = {
        "framework": "torch",
        "input_shape": [None, 32],
        "layers": [
            {"type": "TransformerEncoder", "num_layers": 2, "encoder_layer": encoder},
            {"type": "Linear", "out_features": 3},
        ],
    }
    made = built(answer("torch", spec))
    assert total(add_costs(made, 2)).macs.status == "partial"
    found = total(add_costs(made, 2, ((9, 32),))).macs
    assert (found.value, found.status) == (measured("torch")["transformer"]["flop_counter"] // 2, "complete")


def test_a_decoder_with_an_open_memory() -> None:
    """Two inputs are taken in order; cross attention sees 10 queries and a memory of 7."""
    decoder = {"type": "TransformerDecoderLayer", "nhead": 4, "dim_feedforward": 8, "batch_first": True}
    spec = {
        "framework": "torch",
        "inputs": {"target": [10, 16], "memory": [None, 16]},
        "layers": [{"type": "TransformerDecoder", "name": "d", "num_layers": 1, "decoder_layer": decoder,
                    "inputs": ["target", "memory"]}],
    }  # fmt: skip
    found = by_path(add_costs(built(answer("torch", spec)), 1, ((10, 16), (7, 16))))
    assert found["d.layers.0.self_attn"].macs.value == 3 * 10 * 256 + 2 * 100 * 16
    assert found["d.layers.0.multihead_attn"].macs.value == (10 + 7 + 7) * 256 + 2 * 70 * 16
    assert found["d.layers.0.multihead_attn.out_proj"].macs.value == 10 * 256
