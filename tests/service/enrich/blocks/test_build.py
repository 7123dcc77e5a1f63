"""Blocks of real models: what a person would call them, how often they repeat, and that nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.enrich.blocks.parts import positions
from service.enrich.blocks.tree import parts_of
from service.enrich.likeness import alike
from service.tree import Block, Model
from tests.corpus import expected
from tests.service.enrich.blocks.reading import blocks_of, lines, named

KERAS = sorted(expected("keras_blocks"))
TORCH = sorted(expected("torch_blocks"))


def every(blocks: tuple[Block, ...]) -> Iterator[Block]:
    for block in blocks:
        yield block
        yield from every(block.blocks)


def files() -> list[tuple[str, str]]:
    return [("keras_blocks", f"{name}.keras") for name in KERAS] + [("torch_blocks", name) for name in TORCH]


def test_three_dense_blocks_of_the_perceptron() -> None:
    """Three blocks, each with its Dense, BatchNormalization and activation; unequal sizes are not folded."""
    model = blocks_of("keras_files", "seed0.keras")
    assert [(block.kind, block.layers, block.parameters) for block in model.blocks] == [
        ("group", ("dense", "batch_normalization", "activation", "dropout"), 576_000),
        ("group", ("dense_1", "batch_normalization_1", "activation_1", "dropout_1"), 132_352),
        ("group", ("dense_2", "batch_normalization_2", "activation_2"), 9_918),
    ]
    assert str(model.blocks[0].title) == "Linear + BatchNorm + activation + dropout"


def test_a_file_of_weights_has_no_order_to_group_by() -> None:
    """Weights alone are listed by name: a Dense that happens to stand before a Dropout is not grouped with it."""
    model = blocks_of("keras_files", "seed0.weights.h5")
    assert {block.kind for block in model.blocks} == {"layer"}


@pytest.mark.parametrize(("corpus", "name"), files())
def test_parameters_add_up_to_what_the_framework_counts(corpus: str, name: str) -> None:
    """The blocks at the top have together what the framework itself counts."""
    wanted = expected(corpus)[name if corpus == "torch_blocks" else Path(name).stem]["parameters"]
    blocks = blocks_of(corpus, name).blocks
    assert sum(block.parameters or 0 for block in blocks) == wanted


@pytest.mark.parametrize(("corpus", "name"), files())
def test_each_layer_is_in_exactly_one_block(corpus: str, name: str) -> None:
    """All layers, but for containers without weights of their own, once."""
    model = blocks_of(corpus, name)
    found = sorted(at for part in parts_of(model, alike(model.layers))[0] for at in positions(part))
    parents = {layer.parent for layer in model.layers}
    assert found == [at for at, layer in enumerate(model.layers) if layer.weights or layer.path not in parents]


@pytest.mark.parametrize(("corpus", "name"), files())
def test_every_model_reads_in_a_screen(corpus: str, name: str) -> None:
    """No list has more than forty lines, and names are unique in it."""
    model = blocks_of(corpus, name)
    for siblings in [model.blocks, *(block.blocks for block in every(model.blocks))]:
        assert len(siblings) <= 40
        assert len({block.name for block in siblings}) == len(siblings)


def test_resnet50_of_keras() -> None:
    """Stem, four stages, head; in a stage the first block stands apart and the equal ones are folded."""
    model = blocks_of("keras_blocks", "ResNet50.keras")
    assert lines(model.blocks) == [
        "input_layer", "conv1_conv", "pool1_pad", "conv2", "conv3", "conv4", "conv5", "avg_pool", "predictions",
    ]  # fmt: skip
    assert lines(named(model, "conv4").blocks) == ["conv4_block1", "conv4_block{2..6} × 5"]
    assert str(named(model, "conv4", "conv4_block{2..6}").title) == "Residual block: 3 × Conv2D, 5 times in a row"
    assert lines(named(model, "conv3", "conv3_block{2..4}").blocks) == [
        "conv3_block2_1_conv", "conv3_block2_2_conv", "conv3_block2_3_conv", "conv3_block2_add",
    ]  # fmt: skip


def test_mobilenet_v2() -> None:
    """Inverted residuals: a stage by its name where the stride allows no sum, folded where blocks are equal."""
    found = lines(blocks_of("keras_blocks", "MobileNetV2.keras").blocks)
    assert found[4:10] == ["block_1", "block_2", "block_3", "block_{4..5} × 2", "block_6", "block_{7..9} × 3"]


def test_efficientnet_folds_letters() -> None:
    """Blocks that are counted with letters fold, and squeeze-and-excitation is a block within the block."""
    model = blocks_of("keras_blocks", "EfficientNetB0.keras")
    assert "block4{b..c} × 2" in lines(model.blocks)
    assert lines(named(model, "block4{b..c}").blocks) == [
        "block4b_expand_conv", "block4b_dwconv", "block4b_se", "block4b_project_conv", "block4b_add",
    ]  # fmt: skip


def test_a_transformer_whose_names_say_nothing() -> None:
    """Twelve equal layers are found by the graph alone; each is an attention and a feed-forward part."""
    model = blocks_of("keras_blocks", "transformer.keras")
    repeat = model.blocks[2]
    assert (len(model.blocks), repeat.kind, repeat.repeats, len(repeat.occurrences)) == (6, "repeat", 12, 12)
    assert [str(block.title) for block in repeat.blocks] == [
        "Residual block: LayerNorm + multi-head attention", "Residual block: LayerNorm + 2 × Linear",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["encoder_module.pt", "encoder_state.pt"])
def test_transformer_encoder_of_pytorch(name: str) -> None:
    """Twelve layers in a ModuleList, with and without classes."""
    assert lines(blocks_of("torch_blocks", name).blocks) == ["layers × 12", "norm"]


def test_bert_by_its_keys() -> None:
    """The layers of the encoder under the name that people know, whatever holds them."""
    model = blocks_of("torch_blocks", "bert_state.pt")
    assert lines(model.blocks) == [
        "bert.embeddings", "bert.encoder.layer × 12", "bert.pooler.dense", "cls.predictions.transform",
    ]  # fmt: skip
    assert lines(named(model, "bert.encoder.layer", "bert.encoder.layer.0.attention").blocks) == [
        "bert.encoder.layer.0.attention.self", "bert.encoder.layer.0.attention.output",
    ]  # fmt: skip
    assert named(model, "bert.encoder.layer").occurrences[11] == "bert.encoder.layer.11"


def test_gpt_and_names_that_nobody_knows() -> None:
    """Structure is what folds, not vocabulary."""
    assert "transformer.h × 24" in lines(blocks_of("torch_blocks", "gpt_state.pt").blocks)
    assert "zork × 20" in lines(blocks_of("torch_blocks", "unknown_state.pt").blocks)


@pytest.mark.parametrize("name", ["deep_module.pt", "deep_state.pt"])
def test_residual_stages_of_pytorch(name: str) -> None:
    """The first block of a stage has a downsample and stands apart; 422 layers read in ten lines."""
    model = blocks_of("torch_blocks", name)
    assert len(model.blocks) <= 10
    assert lines(named(model, "layer3").blocks) == ["layer3.0", "layer3.{1..35} × 35"]
    assert [str(block.title)[:18] for block in named(model, "layer3", "layer3.{1..35}").blocks[:2]] == [
        "Conv2D + BatchNorm", "Conv2D + BatchNorm",
    ]  # fmt: skip


def test_parallel_layers_are_not_in_a_row() -> None:
    """A shortcut and the convolution beside it are equal and stay two: neither feeds the other."""
    model = blocks_of("torch_blocks", "resnet.pt2")
    assert "layer1.0.downsample" in lines(named(model, "layer1", "layer1.0").blocks)


def test_sums_hold_within_blocks() -> None:
    """What a stage consists of adds up to the stage; of a repeat, to one occurrence."""
    for corpus, name in files():
        for block in every(blocks_of(corpus, name).blocks):
            if block.blocks and block.parameters is not None:
                inner = sum(one.parameters or 0 for one in block.blocks)
                assert inner * block.repeats == block.parameters, (name, block.name)


def test_a_model_without_layers_has_no_blocks() -> None:
    """Nothing in, nothing out."""
    empty = Model(info=blocks_of("keras_files", "seed0.keras").info, layers=())
    assert parts_of(empty, alike(empty.layers))[0] == []
