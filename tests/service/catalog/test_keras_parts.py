"""Which names of Keras a configuration may hold: parts of models by every path that versions have given them."""

from __future__ import annotations

import pytest

from service.catalog.keras_classes import KIND_OF_CLASS
from service.catalog.keras_parts import is_part

CLASSES = """
keras.Sequential keras.DTypePolicy keras.layers.Dense keras.src.layers.core.dense.Dense keras.layers.core.dense.Dense
keras.src.models.functional.Functional keras.src.engine.functional.Functional keras.engine.training.Model
tensorflow.keras.layers.Dense tensorflow.python.keras.layers.core.Dense tf_keras.src.engine.sequential.Sequential
tensorflow.python.keras.optimizer_v2.adam.Adam keras.optimizers.legacy.Adam keras.optimizers.schedules.CosineDecay
keras.src.optimizers.schedules.learning_rate_schedule.ExponentialDecay keras.mixed_precision.LossScaleOptimizer
keras.initializers.GlorotUniform keras.initializers.initializers_v2.Zeros keras.regularizers.L2 keras.constraints.NonNeg
keras.losses.Huber keras.metrics.Mean keras.quantizers.AbsMaxQuantizer keras.random.SeedGenerator
keras.utils.FeatureSpace keras.src.random.seed_generator.SeedGenerator
keras.dtype_policies.QuantizedDTypePolicy keras._legacy.losses.Reduction
keras.src.ops.numpy.Add keras.src.applications.convnext.LayerScale keras.experimental.SequenceFeatures
keras.src.trainers.compile_utils.CompileLoss keras.distillation.Distiller keras.api._v2.keras.layers.Dense
keras_hub.src.models.bert.bert_backbone.BertBackbone keras_nlp.layers.TransformerEncoder keras_nlp.models.BertTokenizer
keras_cv.layers.RandAugment keras_cv.core.UniformFactorSampler
""".split()  # noqa: SIM905
FUNCTIONS = """
keras.activations.relu keras.src.activations.activations.gelu keras.losses.huber keras.metrics.binary_accuracy
tensorflow.keras.activations.swish keras.objectives.mse keras.ops.abs keras.src.ops.nn.relu keras.backend.l2_normalize
keras._legacy.backend.abs keras.backend.tensorflow_backend.l2_normalize keras.applications.resnet.preprocess_input
keras.utils.to_categorical keras.utils.np_utils.to_categorical keras.regularizers.l2
""".split()  # noqa: SIM905
OTHERS = """
keras.src.utils.file_utils.remove keras.src.utils.file_utils.makedirs keras.src.utils.file_utils.rename
keras.utils.image_dataset_from_directory keras.preprocessing.text_dataset_from_directory keras.utils.split_dataset
keras.src.backend.config.set_keras_home keras.config.set_floatx keras.backend.set_session keras.backend.clear_session
keras.src.backend.os keras.src.sys keras.src.ops.os keras.src.layers.core.lambda_layer.python_utils
keras.src.backend.common.global_state.get_global_attribute keras.saving.get_custom_objects keras.losses.deserialize
keras.src.backend.torch.core.torch keras.tree.map_structure keras.__builtins__ keras.activations.__builtins__
keras_hub.models.Backbone.from_preset keras.applications.vgg16.decode_predictions keras.ops.custom_gradient
""".split()  # noqa: SIM905
OTHER_CLASSES = """
keras.src.utils.file_utils.File keras.src.export.export_lib.ExportArchive keras.saving.KerasFileEditor
keras.callbacks.CSVLogger keras.callbacks.BackupAndRestore keras.src.utils.module_utils.LazyModule
keras.applications.VGG16 keras.wrappers.SKLearnClassifier keras.layers.deserialize keras.src.sys
""".split()  # noqa: SIM905


def split(path: str) -> tuple[str, str]:
    """Module and name."""
    module, _, name = path.rpartition(".")
    return module, name


@pytest.mark.parametrize("path", CLASSES)
def test_classes_of_models(path: str) -> None:
    """Layers, what they are made of, and how they are trained, by public paths and those of the source."""
    assert is_part(*split(path), function=False)


@pytest.mark.parametrize("path", FUNCTIONS)
def test_functions_of_models(path: str) -> None:
    """Activations, losses, operations on tensors."""
    assert is_part(*split(path), function=True)


@pytest.mark.parametrize("path", OTHERS)
def test_names_that_no_model_has(path: str) -> None:
    """What touches files, sets up Keras, or is a module that Keras happens to import: neither as function nor class."""
    assert not is_part(*split(path), function=True)
    assert not is_part(*split(path), function=False)


@pytest.mark.parametrize("path", OTHER_CLASSES)
def test_classes_that_no_model_has(path: str) -> None:
    """What writes files, fetches weights or only runs beside the training."""
    assert not is_part(*split(path), function=False)


def test_every_layer_is_a_part() -> None:
    """All that the catalogue of layers knows are parts where Keras has them."""
    assert all(is_part("keras.layers", name, function=False) for name in KIND_OF_CLASS)
