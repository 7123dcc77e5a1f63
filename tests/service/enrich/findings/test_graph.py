"""Edges are those that the file tells, and no others."""

from __future__ import annotations

import msgspec

from service.config import Limits
from service.enrich.findings.context import Context, context_of
from service.formats import Upload
from service.registry import identify, load_readers
from service.source import FileSource, Meter
from service.tree import Layer, Model, ModelInfo
from tests.builders import layer, model
from tests.corpus import corpus_dir


def read(corpus: str, name: str) -> Context:
    """The context of a file of the corpus."""
    with (corpus_dir(corpus) / name).open("rb") as opened:
        meter = Meter(Limits())
        upload = Upload({"upload": FileSource(opened.fileno(), meter)}, meter)
        found = identify(upload, load_readers()).read(upload)
        assert isinstance(found, Model)
        return context_of(found)


def after(context: Context, path: str) -> list[str] | None:
    found = context.after(context.layers[path])
    return None if found is None else [other.path for other in found]


def before(context: Context, path: str) -> list[str] | None:
    found = context.before(context.layers[path])
    return None if found is None else [other.path for other in found]


def torch(*layers: Layer, kind: str | None = None, file: str = "torch_zip") -> Context:
    """The context of a PyTorch model of that class."""
    return context_of(Model(info=ModelInfo(format=file, framework="torch", type=kind), layers=layers))


def sequential(path: str, **more: object) -> Layer:
    return layer(path, "container", type="Sequential", **more)


def test_keras_sequential() -> None:
    """Each layer feeds the next; the last one feeds nothing."""
    context = read("keras_files", "seed0.keras")
    assert after(context, "dense") == ["batch_normalization"]
    assert before(context, "batch_normalization") == ["dense"]
    assert after(context, "activation_2") == []


def test_keras_nested_and_shared() -> None:
    """A nested model stands for its first and last layers, each occurrence of a shared layer for the layer."""
    context = read("keras_files", "nested_shared_frozen.keras")
    assert before(context, "concatenate") == ["left/stiff", "right/deepest/deep_norm"]
    assert after(context, "left/stiff") == ["concatenate"]
    assert set(after(context, "shared") or ()) == {"shared", "left/stiff", "right/deepest/deep"}
    assert before(context, "right/deepest/deep") == ["shared"]


def test_keras_without_a_configuration() -> None:
    """Weights alone tell no edges."""
    context = read("keras_files", "seed0.weights.h5")
    assert not context.graph.before
    assert not context.graph.after


def test_keras_output_beside_others() -> None:
    """What a layer feeds is open where the model also returns its output."""
    layers = (layer("a", "linear", inputs=()), layer("b", "batch_norm", inputs=("a",)))
    bare = model("keras", *layers)
    assert after(context_of(bare), "a") == ["b"]
    several = msgspec.structs.replace(bare, info=msgspec.structs.replace(bare.info, tags={"outputs": ["a", "b"]}))
    assert after(context_of(several), "a") is None


def test_outputs_are_told_by_the_files() -> None:
    """A layer that is an output beside others has open consumers, whichever format of Keras holds it."""
    for name in ("several_outputs.keras", "several_outputs.h5"):
        context = read("keras_files", name)
        listed = context.model.info.tags["outputs"]
        assert len(listed) > 1
        assert [after(context, path) for path in listed] == [None] * len(listed)


def test_keras_layer_that_does_not_say_what_feeds_it() -> None:
    """It may be fed by any of its neighbours: what they feed is open."""
    context = context_of(model("keras", layer("a", "linear", inputs=()), layer("b", "batch_norm", inputs=("a",)),
                               layer("c", "custom")))  # fmt: skip
    assert (after(context, "a"), before(context, "b"), before(context, "c")) == (None, ["a"], None)


def test_keras_inner_model_with_several_outputs() -> None:
    """Which of its layers feeds the next one is not known."""
    context = context_of(model(
        "keras",
        layer("m", "container", type="Functional", inputs=(), output_shapes=((None, 2), (None, 3))),
        layer("m/a", "linear", parent="m", inputs=()),
        layer("m/b", "linear", parent="m", inputs=("m/a",)),
        layer("next", "linear", inputs=("m",)),
    ))  # fmt: skip
    assert before(context, "next") is None


def test_torch_sequential_module() -> None:
    """A pickled Sequential calls its children in order."""
    context = read("torch_files", "seed_module.pt")
    assert (before(context, "0"), after(context, "6"), after(context, "7")) == ([], ["7"], [])


def test_torch_script_of_a_sequential() -> None:
    """TorchScript keeps the class: the order is the same."""
    assert after(read("torch_files", "seed_script.pt"), "2") == ["3"]


def test_torch_state_dict() -> None:
    """Names such as 0, 1, 2 prove no order of calls."""
    assert not read("torch_files", "seed_state.pt").graph.after


def test_torch_custom_module() -> None:
    """What the code of a class does with its children is not in the file."""
    context = read("torch_files", "net_module.pt")
    assert after(context, "block.conv1") is None
    assert not context.graph.after


def test_torch_export_looks_through_functions() -> None:
    """Its edges count only between neighbours in a Sequential: elsewhere an activation may hide between two modules."""
    assert after(read("torch_files", "seed.pt2"), "0") == ["1"]
    assert not read("torch_files", "net.pt2").graph.after


def test_torch_sequential_inside_a_custom_module() -> None:
    """Inner neighbours are known, those at the ends are not."""
    context = torch(sequential("net"), layer("net.0", "linear", parent="net"),
                    layer("net.1", "batch_norm", parent="net"),
                    layer("head", "linear"), kind="Net")  # fmt: skip
    assert (after(context, "net.0"), after(context, "net.1"), before(context, "net.0")) == (["net.1"], None, None)
    assert after(context, "head") is None


def test_torch_nested_sequential() -> None:
    """The last of an inner Sequential feeds what follows it."""
    context = torch(sequential("0"), layer("0.0", "linear", parent="0"), layer("1", "batch_norm"), kind="Sequential")
    assert (after(context, "0.0"), before(context, "1")) == (["1"], ["0.0"])


def test_torch_custom_subclass_of_sequential() -> None:
    """A class of the user's may do anything in its forward."""
    context = torch(layer("net", "container", type="ConvBlock", custom=True), layer("net.0", "conv2d", parent="net"),
                    layer("net.1", "batch_norm", parent="net"), kind="Net")  # fmt: skip
    assert after(context, "net.0") is None


def test_torch_module_shared_within_a_sequential() -> None:
    """One ReLU in two places has the neighbours of both."""
    context = torch(layer("0", "linear"), layer("1", "activation"), layer("2", "linear"),
                    layer("3", "activation", shared_with="1"), kind="Sequential")  # fmt: skip
    assert (before(context, "1"), after(context, "1")) == (["0", "2"], ["2"])


def test_torch_module_shared_with_code() -> None:
    """A module that also occurs outside of the Sequential has neighbours that nobody can tell."""
    context = torch(sequential("net"), layer("net.0", "linear", parent="net"),
                    layer("net.1", "batch_norm", parent="net"),
                    layer("again", "linear", shared_with="net.0"), kind="Net")  # fmt: skip
    assert after(context, "net.0") is None


def test_torch_sequential_that_occurs_twice() -> None:
    """What its layers feed depends on the place."""
    context = torch(sequential("0"), layer("0.0", "linear", parent="0"), layer("1", "batch_norm"),
                    sequential("2", shared_with="0"), kind="Sequential")  # fmt: skip
    assert after(context, "0.0") is None


def test_too_many_neighbours_are_not_looked_at() -> None:
    """A layer that feeds hundreds of others is passed over, so that the whole stays linear."""
    many = [layer(f"n{index}", "batch_norm", inputs=("a",)) for index in range(300)]
    assert after(context_of(model("keras", layer("a", "linear", inputs=()), *many)), "a") is None


def test_edges_to_nowhere() -> None:
    """An input that is no layer leaves what feeds the layer open."""
    context = context_of(model("keras", layer("a", "linear", inputs=("ghost",)), layer("b", "linear", inputs=("b",))))
    assert (before(context, "a"), before(context, "b")) == (None, ["b"])
