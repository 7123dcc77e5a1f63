"""What Keras calls its layers, across versions 1 to 3: class name to kind, and which modules are Keras' own.

Knows names only; must not know files, weights or shapes.
"""

from __future__ import annotations

import re
from functools import lru_cache

_CLASSES_BY_KIND = {
    "input": "InputLayer",
    "linear": "Dense TimeDistributedDense MaxoutDense Highway",
    "einsum_dense": "EinsumDense",
    "conv1d": "Conv1D Convolution1D AtrousConvolution1D LocallyConnected1D",
    "conv2d": "Conv2D Convolution2D AtrousConvolution2D LocallyConnected2D",
    "conv3d": "Conv3D Convolution3D",
    "conv_transpose1d": "Conv1DTranspose Convolution1DTranspose",
    "conv_transpose2d": "Conv2DTranspose Convolution2DTranspose Deconvolution2D",
    "conv_transpose3d": "Conv3DTranspose Convolution3DTranspose Deconvolution3D",
    "depthwise_conv1d": "DepthwiseConv1D",
    "depthwise_conv2d": "DepthwiseConv2D",
    "separable_conv1d": "SeparableConv1D SeparableConvolution1D",
    "separable_conv2d": "SeparableConv2D SeparableConvolution2D",
    "embedding": "Embedding ReversibleEmbedding",
    "batch_norm": "BatchNormalization BatchNormalizationV1 BatchNormalizationV2 SyncBatchNormalization",
    "layer_norm": "LayerNormalization",
    "group_norm": "GroupNormalization",
    "rms_norm": "RMSNormalization",
    "unit_norm": "UnitNormalization",
    "spectral_norm": "SpectralNormalization",
    "normalization": "Normalization",
    "simple_rnn": "SimpleRNN",
    "lstm": "LSTM CuDNNLSTM LSTMV1 LSTMV2",
    "gru": "GRU CuDNNGRU GRUV1 GRUV2",
    "conv_lstm": "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
    "rnn": "RNN",
    "rnn_cell": "LSTMCell GRUCell SimpleRNNCell StackedRNNCells ConvLSTMCell ConvLSTM2DCell",
    "bidirectional": "Bidirectional",
    "time_distributed": "TimeDistributed",
    "attention": "Attention AdditiveAttention",
    "multi_head_attention": "MultiHeadAttention",
    "grouped_query_attention": "GroupQueryAttention GroupedQueryAttention",
    "activation": "Activation ReLU LeakyReLU ELU ThresholdedReLU ParametricSoftplus SReLU LayerScale CustomScaleLayer",
    "prelu": "PReLU",
    "softmax": "Softmax",
    "dropout": "Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D AlphaDropout GaussianDropout",
    "noise": "GaussianNoise",
    "pool": "MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D "
    "MaxPool1D MaxPool2D MaxPool3D AvgPool1D AvgPool2D AvgPool3D "
    "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D "
    "AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D",
    "global_pool": "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GlobalAveragePooling1D "
    "GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPool1D GlobalMaxPool2D "
    "GlobalMaxPool3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D",
    "padding": "ZeroPadding1D ZeroPadding2D ZeroPadding3D",
    "crop": "Cropping1D Cropping2D Cropping3D CenterCrop RandomCrop",
    "upsample": "UpSampling1D UpSampling2D UpSampling3D",
    "reshape": "Reshape Flatten Permute RepeatVector",
    "merge": "Add Subtract Multiply Average Maximum Minimum Concatenate Dot Merge",
    "masking": "Masking",
    "regularization": "ActivityRegularization ActivityRegularizer",
    "lambda": "Lambda",
    "operation": "TensorFlowOpLayer TFOpLambda SlicingOpLambda ClassMethod InstanceMethod InstanceProperty",
    "wrapper": "Wrapper",
    "activation_identity": "Identity",
    "preprocessing": "Rescaling Resizing CategoryEncoding Discretization Hashing HashedCrossing StringLookup "
    "IntegerLookup IndexLookup TextVectorization Pipeline FeatureSpace MelSpectrogram "
    "STFTSpectrogram MaxNumBoundingBoxes CategoryCrossing "
    "AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization MixUp "
    "RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast "
    "RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHeight "
    "RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation "
    "RandomSharpness RandomShear RandomTranslation RandomWidth RandomZoom Solarization",
    "container": "Sequential Functional Model Graph",
    "wrapper_foreign": "TFSMLayer TorchModuleWrapper JaxLayer FlaxLayer",
}
_RENAMED_KINDS = {"activation_identity": "activation", "wrapper_foreign": "wrapper"}

KIND_OF_CLASS: dict[str, str] = {
    name: _RENAMED_KINDS.get(kind, kind) for kind, names in _CLASSES_BY_KIND.items() for name in names.split()
}
"""Every layer class that Keras 1, 2 or 3 brings, and its kind."""

KERAS_ROOTS = frozenset({"keras", "tf_keras", "keras_hub", "keras_nlp", "keras_cv", "keras_core", "keras_tuner"})
"""Top packages whose classes Keras itself loads without being told."""

_AUTO_NUMBER = re.compile(r"_\d+$")


def is_keras_module(module: str | None) -> bool:
    """Whether `module` belongs to Keras; None (older files do not say) counts as yes."""
    if module is None:
        return True
    if module.split(".")[0] in KERAS_ROOTS:
        return True
    return module.startswith(("tensorflow.keras", "tensorflow.python.keras"))


def is_operation(class_name: str, module: str | None) -> bool:
    """Whether an entry of a functional graph is a bare tensor operation instead of a layer."""
    if KIND_OF_CLASS.get(class_name) == "operation":
        return True
    if module is None or not is_keras_module(module):
        return False
    return module.endswith(".ops") or ".ops." in module


def is_custom(class_name: str, module: str | None) -> bool:
    """Whether a class is the user's own."""
    if not is_keras_module(module):
        return True
    return module is None and class_name not in KIND_OF_CLASS


def kind_of(class_name: str | None, module: str | None = None) -> str:
    """The kind of a class; `custom` for the user's own, `unknown` where there is no class."""
    if class_name is None:
        return "unknown"
    if is_operation(class_name, module):
        return "operation"
    if is_custom(class_name, module):
        return "custom"
    return KIND_OF_CLASS.get(class_name, "unknown")


@lru_cache(maxsize=4096)
def snake_case(class_name: str) -> str:
    """Keras' own spelling of a class in automatic names and weight groups (`Conv2D` is `conv2d`)."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


_CLASS_OF_SNAKE = {
    **{name.lower(): name for name in KIND_OF_CLASS},  # as Keras 1 named layers
    **{snake_case(name): name for name in KIND_OF_CLASS},
}


def class_of_group(group: str) -> str | None:
    """The class a weight group's or automatic name stands for (`batch_normalization_3`), None if none of Keras'."""
    return _CLASS_OF_SNAKE.get(group) or _CLASS_OF_SNAKE.get(_AUTO_NUMBER.sub("", group))
