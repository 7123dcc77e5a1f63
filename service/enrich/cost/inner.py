"""What PyTorch's attention and transformer modules pass to the modules inside them; knows their `forward`, no cost.

Source: torch/nn/modules/transformer.py and activation.py (2.13). `MultiheadAttention` uses the weights of its
`out_proj` without calling it.
"""

from __future__ import annotations

from service.enrich.cost.work import Sizes
from service.tree import Layer

Several = tuple[Sizes, ...] | None


def inner_inputs(parent: Layer, child: Layer, ins: Several, hidden: Several) -> Several:
    """Sizes of what `child` gets when `parent` gets `ins`; None if not known.

    `hidden` are those of what the first linear layer of a transformer's layer returns.
    """
    if parent.custom or not ins:
        return None
    if parent.kind == "multi_head_attention":
        return ins[:1] if child.name == "out_proj" else None
    if parent.kind == "transformer_layer":
        return _of_layer(child, ins, hidden)
    if parent.kind == "transformer":
        return _of_stack(parent, child, ins)
    return ins if parent.kind == "container" and child.kind == "transformer_layer" else None


def _of_stack(parent: Layer, child: Layer, ins: tuple[Sizes, ...]) -> Several:
    """Encoder and decoder keep the shape of what they transform; the second input of a decoder is the memory."""
    if parent.type != "Transformer":
        return ins if child.kind == "container" else ins[:1]
    if len(ins) < 2:
        return None
    return ins[:1] if child.name == "encoder" else (ins[1], ins[0]) if child.name == "decoder" else None


def _of_layer(child: Layer, ins: tuple[Sizes, ...], hidden: Several) -> Several:
    if child.kind == "multi_head_attention":
        return ins[:1] if child.name == "self_attn" else (ins[0], ins[1], ins[1]) if len(ins) > 1 else None
    if child.name in ("linear2", "dropout") or child.kind == "activation":
        return hidden
    return ins[:1] if child.name == "linear1" or child.kind in ("layer_norm", "dropout", "rms_norm") else None
