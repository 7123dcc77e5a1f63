"""Which of Keras' classes may be constructed, and how their arguments are told apart; knows names only.

An allow-list, so that a layer that a later Keras brings is refused until someone has looked at it. Left out on
purpose: `Lambda` (bytecode), `TFSMLayer` (loads a path), `TorchModuleWrapper`, `JaxLayer`, `FlaxLayer` (foreign code).
"""

from __future__ import annotations

from service.language import mark

_LAYERS = """
Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention AugMix
AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D
BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate ContrastLimitedAdaptiveHistogramEqualization
Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D
Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D Cropping2D
Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding
Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D
GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention GroupedQueryAttention
HashedCrossing Hashing Identity InputLayer IntegerLookup LSTM LSTMCell LayerNormalization LeakyReLU Masking
MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum
MixUp MultiHeadAttention Multiply Normalization PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness
RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU RepeatVector Rescaling Reshape Resizing
ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D
SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization
StackedRNNCells StringLookup Subtract TextVectorization TimeDistributed UnitNormalization UpSampling1D UpSampling2D
UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""

LAYERS = frozenset(_LAYERS.split())
MODELS = frozenset({"Sequential", "Functional", "Model"})

RENAMED = {"GroupedQueryAttention": "GroupQueryAttention"}
"""Class names that `keras.layers` exports under another name."""

ELSEWHERE = {"LayerScale": "keras.src.applications.convnext"}
"""Layers that Keras' own applications use without exporting them, and their modules."""

REFUSED = {
    "Lambda": mark("a Lambda holds code, and code from a spec is never run"),
    "TFSMLayer": mark("it loads a model from a path"),
    "TorchModuleWrapper": mark("it holds a pickled PyTorch module"),
    "JaxLayer": mark("it holds code"),
    "FlaxLayer": mark("it holds code"),
    "Layer": mark("it is the base class of all layers"),
    "Wrapper": mark("it is the base class of wrappers"),
}
"""Classes of Keras that are never constructed from a spec, and why."""

LIST_CALL = frozenset(
    {
        *("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"),
        *("Attention", "AdditiveAttention", "HashedCrossing"),
    }
)
"""Layers that take all their tensors as one list; all others take one positional argument for each."""

RECURRENT = frozenset(
    {
        *("RNN", "LSTM", "GRU", "SimpleRNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
        *("CuDNNLSTM", "CuDNNGRU"),
    }
)
"""Layers whose further tensors are the initial state."""

SELF_ATTENTION = frozenset(
    {"MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention"}
)
"""Layers that want a query and a value; where a spec gives one tensor, it is both."""

LAYER_ARGUMENTS = frozenset({"layer", "backward_layer", "cell", "cells", "layers"})
"""Arguments that hold layers."""

COMMON_ARGUMENTS = frozenset({"name", "trainable", "dtype", "activity_regularizer", "autocast"})
"""What every layer accepts."""

OPERATION_MODULES = frozenset({"numpy", "nn", "core", "math", "linalg", "image"})
"""Submodules of `keras.src.ops` whose operations may stand in a functional graph."""

REFUSED_OPERATIONS = frozenset(
    {
        *("Map", "Scan", "AssociativeScan", "Cond", "Switch", "WhileLoop", "ForiLoop", "VectorizedMap"),
        *("CustomGradient", "Vectorize", "ApplyAlongAxis", "Piecewise", "JVP"),
    }
)
"""Operations that take functions."""
