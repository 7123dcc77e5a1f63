"""What the torch readers say beyond names and shapes: kinds, roles, layouts, states, notes."""

from __future__ import annotations

import pytest

from service.tree import Layer
from tests.service.readers.torch_archives import model, weights


def layers(name: str) -> dict[str, Layer]:
    return {layer.path: layer for layer in model(name).layers}


def roles(layer: Layer) -> dict[str, str]:
    return {weight.name: weight.role for weight in layer.weights}


@pytest.mark.parametrize("name", ["seed_module.pt", "seed_module_legacy.pth", "seed_script.pt", "seed.pt2"])
def test_the_seed_cnn_in_every_form_that_records_classes(name: str) -> None:
    """Eight layers in order, with our kinds, and the golden counts: 13,108,694 parameters and 65 buffer elements."""
    found = model(name)
    kinds = ["conv2d", "activation", "batch_norm", "reshape", "linear", "activation", "linear", "softmax"]
    assert [layer.kind for layer in found.layers] == kinds
    counted = [(weight.group, weight.count or 0) for weight in weights(found).values()]
    assert sum(count for group, count in counted if group == "trainable") == 13_108_694
    assert sum(count for group, count in counted if group == "statistic") == 65


@pytest.mark.parametrize("name", ["seed_state.pt", "seed_state_legacy.pth"])
def test_the_seed_cnn_as_a_state_dict(name: str) -> None:
    """Classes are gone, the tree stays (`_metadata`), kinds are told by rule, who learns is unknown."""
    found = model(name)
    assert [layer.type for layer in found.layers] == [None] * 8
    kinds = ["conv2d", "unknown", "batch_norm", "unknown", "linear", "unknown", "linear", "unknown"]
    assert [layer.kind for layer in found.layers] == kinds
    counted = [(weight.group, weight.trainable, weight.count or 0) for weight in weights(found).values()]
    assert sum(count for group, trainable, count in counted if (group, trainable) == ("unknown", None)) == 13_108_694
    assert sum(count for group, trainable, count in counted if (group, trainable) == ("statistic", False)) == 65
    assert any("requires_grad is always False" in str(note) for note in found.notes)


def test_roles_and_layouts_of_a_module() -> None:
    """The kernel's axes, a norm's scale and offset, statistics."""
    found = layers("seed_module.pt")
    conv, norm, linear = found["0"], found["2"], found["4"]
    assert [(weight.role, weight.layout) for weight in conv.weights] == [("kernel", "OIHW"), ("bias", None)]
    assert [weight.role for weight in norm.weights] == [
        "scale",
        "offset",
        "moving_mean",
        "moving_variance",
        "num_batches_tracked",
    ]
    assert linear.weights[0].layout == "out-in"


def test_hyper_parameters_are_the_attributes() -> None:
    """Public plain attributes, `training` too; tuples become lists; private ones are left out."""
    config = layers("net_module.pt")["block.conv1"].config
    assert config["kernel_size"] == [3, 3]
    assert config["groups"] == 1
    assert config["training"] is True
    assert not any(name.startswith("_") for name in config)
    assert layers("net_module.pt")["block"].config == {"training": True, "scale": 0.5, "names": ["a", "b"]}


def test_classes_of_the_user_are_custom() -> None:
    """The root with its own weights is `.`; blocks are containers, both marked custom and listed under security."""
    found = model("net_module.pt")
    by_path = {layer.path: layer for layer in found.layers}
    assert (by_path["."].kind, by_path["."].type, by_path["."].custom) == ("model", "Net", True)
    assert (by_path["block"].kind, by_path["block"].custom, by_path["stem"].custom) == ("container", True, False)
    assert {(danger.code, danger.severity) for danger in found.security} == {("pickle_class", "medium")}
    assert found.info.type == "Net"


def test_a_module_met_again_is_shared() -> None:
    """The second path has no weights and points to the first; the first keeps them."""
    found = layers("net_module.pt")
    assert found["shared"].shared_with == "again.0"
    assert found["shared"].weights == ()
    assert found["block.act2"].shared_with == "block.act"
    assert len(found["again.0"].weights) == 2


def test_fleeting_buffers_and_frozen_weights() -> None:
    """`persistent=False` and `requires_grad_(False)` are recorded."""
    found = weights(model("net_module.pt"))
    assert found["block.offsets"].persistent is False
    assert (found["stem.weight"].group, found["stem.weight"].trainable) == ("frozen", False)
    assert "block.missing" not in found


@pytest.mark.parametrize("name", ["recurrent_module.pt", "recurrent_state.pt"])
def test_recurrent_layers(name: str) -> None:
    """Gates told by the shapes in a state_dict too; two biases; a projection."""
    found = layers(name)
    kinds = {path: layer.kind for path, layer in found.items()}
    assert kinds == {
        "lstm": "lstm",
        "projected": "lstm",
        "gru": "gru",
        "rnn": "simple_rnn",
        "lstm_cell": "rnn_cell",
        "gru_cell": "rnn_cell",
    }
    assert roles(found["projected"]) == {
        "weight_ih_l0": "kernel",
        "weight_hh_l0": "recurrent_kernel",
        "bias_ih_l0": "bias",
        "bias_hh_l0": "recurrent_bias",
        "weight_hr_l0": "projection_kernel",
    }
    assert len(found["lstm"].weights) == 16


@pytest.mark.parametrize("name", ["attention_module.pt", "attention_state.pt"])
def test_attention(name: str) -> None:
    """Joint and separate projections, extra key and value biases."""
    found = layers(name)
    assert found["plain"].kind == found["wide"].kind == "multi_head_attention"
    assert roles(found["plain"]) == {"in_proj_weight": "qkv_kernel", "in_proj_bias": "qkv_bias"}
    assert roles(found["wide"]) == {
        "q_proj_weight": "query_kernel",
        "k_proj_weight": "key_kernel",
        "v_proj_weight": "value_kernel",
        "in_proj_bias": "qkv_bias",
        "bias_k": "key_bias",
        "bias_v": "value_bias",
    }


def test_kinds_of_a_state_dict_are_certain_or_unknown() -> None:
    """What two classes of torch.nn would store alike is unknown, unless its name tells; the rest is decided."""
    kinds = {path: layer.kind for path, layer in layers("assorted_state.pt").items()}
    assert {path for path, kind in kinds.items() if kind == "batch_norm"} == {"bn", "bn_plain"}
    assert kinds["layer_norm"] == "layer_norm"
    assert (kinds["up"], kinds["conv3"], kinds["depthwise"]) == ("conv_transpose2d", "conv3d", "conv2d")
    ambiguous = {
        "bn_untracked",
        "instance",
        "bag",
        "square_up",
        "prelu",
        "table",
    }
    assert {kinds[path] for path in ambiguous} == {"unknown"}
    told = {path: kinds[path] for path in ("layer_norm1", "group_norm", "embedding")}
    assert told == {"layer_norm1": "layer_norm", "group_norm": "group_norm", "embedding": "embedding"}


def test_reparametrised_weights() -> None:
    """weight_norm, spectral_norm and pruning, as hooks and as parametrisations."""
    old, new = layers("old_norms_state.pt"), layers("new_norms_state.pt")
    assert roles(old["0"]) == {"bias": "bias", "weight_g": "weight_g", "weight_v": "weight_v"}
    assert roles(old["1"]) == {
        "bias": "bias",
        "weight_orig": "kernel",
        "weight_u": "spectral_vector",
        "weight_v": "spectral_vector",
    }
    assert roles(old["2"])["weight_mask"] == "mask"
    parts = {f"parametrizations.weight.original{number}": role for number, role in enumerate(("weight_g", "weight_v"))}
    assert (new["0"].kind, roles(new["0"])) == ("linear", {"bias": "bias", **parts})
    assert (new["1"].kind, roles(new["1"])["parametrizations.weight.original"]) == ("linear", "kernel")
    assert roles(new["1.parametrizations.weight.0"]) == {"_u": "spectral_vector", "_v": "spectral_vector"}


def test_odd_tensors_are_described() -> None:
    """Sparse, meta, expanded, empty and quantised tensors: logical and stored counts, bytes, scales."""
    found = weights(model("zoo_module.pt"))
    assert (found["expanded"].count, found["expanded"].stored_count, found["expanded"].bytes) == (500, 5, 20)
    assert (found["meta"].count, found["meta"].bytes) == (14, 0)
    assert (found["sparse"].count, found["sparse"].stored_count) == (16, 12)
    assert (found["channels.scales"].role, found["channels.zero_points"].role) == ("quant_scale", "zero_point")
    assert found["of_float8_e4m3fn"].bytes == 6
    assert (found["stated"].group, found["turned"].shape) == ("trainable", (5, 3))


def test_views_of_one_storage_are_not_called_tied() -> None:
    """Different, overlapping views are a finding; views side by side are nothing."""
    found = model("views.pt")
    assert all(weight.tied_to is None for weight in weights(found).values())
    assert [(finding.rule, finding.path) for finding in found.findings] == [("torch_overlapping_views", "b.weight")]


def test_a_training_checkpoint_is_taken_apart() -> None:
    """The model's layers; optimizer with settings, steps and slots; scheduler; stray tensors; plain values."""
    found = model("checkpoint.pt")
    assert [layer.path for layer in found.layers] == ["0", "1", "2"]
    states = {state.name: state for state in found.states}
    assert {name: state.group for name, state in states.items()} == {
        "optimizer": "optimizer",
        "scheduler": "scheduler",
        "loss": "other",
        "rng": "other",
    }
    optimizer = states["optimizer"]
    assert optimizer.config["param_groups"][0]["params"] == 6
    assert optimizer.config["param_groups"][0]["initial_lr"] == 3e-4
    assert {weight.role for weight in optimizer.weights} == {"iteration", "momentum", "velocity"}
    assert {weight.group for weight in optimizer.weights} == {"optimizer"}
    assert states["scheduler"].config["last_epoch"] == 1
    assert (found.info.tags["epoch"], found.info.tags["args"]) == (7, {"lr": 3e-4})


@pytest.mark.parametrize(
    ("name", "key"),
    [("checkpoint_ema.pt", "state_dict_ema"), ("checkpoint_averaged.pt", "model_ema"), ("module_and_ema.pt", "ema")],
)
def test_an_averaged_copy_is_kept_apart(name: str, key: str) -> None:
    """A like model under a key that names an average is a state, whatever container it is in."""
    found = model(name)
    averaged = next(state for state in found.states if state.name == key)
    assert averaged.group == "ema"
    assert {weight.role for weight in averaged.weights} == {"ema"}
    assert not any(layer.path.startswith(key) for layer in found.layers)


def test_an_average_alone_is_the_model() -> None:
    """Without the original beside it there is nothing else to list."""
    assert [layer.path for layer in model("ema_only.pt").layers] == ["0", "1", "2"]


def test_several_models_are_told_apart_by_path() -> None:
    """Generator and discriminator each have a layer of their own on top."""
    found = model("gan.pt")
    assert [layer.path for layer in found.layers if layer.parent is None] == ["generator", "discriminator"]
    assert any("2 models" in str(note) for note in found.notes)


def test_a_lightning_checkpoint() -> None:
    """Its lists of optimizers and schedulers, callbacks' tensors, hyper-parameters."""
    found = model("lightning.ckpt")
    assert [(state.name, state.group) for state in found.states] == [
        ("optimizer_states[0]", "optimizer"),
        ("lr_schedulers[0]", "scheduler"),
        ("callbacks.ModelCheckpoint.best_model_score", "other"),
    ]
    assert found.info.tags["hyper_parameters"] == {"width": 3}


def test_files_without_a_model_say_so() -> None:
    """A bare tensor and a bare optimizer have no layers."""
    for name, state in (("tensor.pt", "tensor"), ("optimizer_only.pt", "optimizer")):
        found = model(name)
        assert found.layers == ()
        assert [held.name for held in found.states] == [state]
        assert any("no layers" in str(note) for note in found.notes)


def test_quantised_layers_show_their_packed_weights() -> None:
    """In a module, a state_dict and a script: kernel and bias out of the opaque object, never trainable."""
    for name in ("quantized_dynamic_module.pt", "quantized_dynamic_state.pt", "quantized_dynamic_script.pt"):
        found = layers(name)["0._packed_params"]
        assert [(weight.role, weight.dtype, weight.shape) for weight in found.weights] == [
            ("packed_kernel", "qint8", (4, 8)),
            ("bias", "float32", (4,)),
        ]
        assert {(weight.group, weight.trainable) for weight in found.weights} == {("frozen", False)}


def test_a_frozen_script_says_what_is_gone() -> None:
    """Constants in the order of the code, counted as frozen, with a note."""
    found = model("frozen.pt")
    constants = found.layers[-1]
    assert constants.path == "CONSTANTS"
    assert {(weight.role, weight.group, weight.trainable) for weight in constants.weights} == {
        ("constant", "frozen", False)
    }
    assert any("frozen" in str(note) for note in found.notes)


def test_script_constants_are_hyper_parameters() -> None:
    """`Final` values of the class text stand in the config."""
    assert layers("script.pt")["block.conv1"].config["kernel_size"] == [3, 3]
    assert model("mobile.ptl").info.tags["mobile"] is True


def test_an_exported_graph_gives_edges_and_calls() -> None:
    """What feeds each layer, how often a shared layer ran, symbolic sizes as None."""
    found = layers("net.pt2")
    assert found["stem"].inputs == ()
    assert found["block.conv1"].inputs == ("stem",)
    assert found["head"].inputs == ("tied",)
    assert (found["tied"].uses, found["embed"].uses) == (2, 1)
    assert found["tied"].inputs == ("embed",)
    assert found["stem"].output_shapes == ((None, 8, 8, 8),)
    assert model("net.pt2").notes == ()


def test_a_fixed_batch_size_is_kept_and_noted() -> None:
    """Without a symbolic size the file's own sizes stand, with a note."""
    found = model("net_fixed.pt2")
    assert next(layer for layer in found.layers if layer.path == "stem").output_shapes == ((2, 8, 8, 8),)
    assert any("batch size" in str(note) for note in found.notes)


def test_older_export_layouts_tell_the_same() -> None:
    """The layouts of 2.1 and 2.5: same layers, weights, ties and edges; places inside the inner archive."""
    new = model("net.pt2")
    for name in ("net_2_5.pt2", "net_2_1.pt2"):
        old = model(name)
        assert [(layer.path, layer.type, layer.inputs, layer.output_shapes) for layer in old.layers] == [
            (layer.path, layer.type, layer.inputs, layer.output_shapes) for layer in new.layers
        ]
        assert {key: weight.tied_to for key, weight in weights(old).items()} == {
            key: weight.tied_to for key, weight in weights(new).items()
        }
        location = weights(old)["stem.weight"].location
        assert location is not None
        assert "!/" in (location.member or "")


def test_versions_are_told() -> None:
    """Container versions and, where recorded, PyTorch's."""
    assert model("net_module.pt").info.format_version == "3"
    assert model("net_module_legacy.pth").info.format_version == "1001"
    assert (model("net.pt2").info.framework_version or "").startswith("2.")
