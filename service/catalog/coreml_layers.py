"""The layers of Core ML's neural networks: their names, settings and kinds; knows the specification's field numbers.

Source: mlmodel/format/NeuralNetwork.proto of coremltools (NeuralNetworkLayer and the parameters of each layer).
"""

from __future__ import annotations

from typing import NamedTuple

_LAYERS = """
100 convolution 1:outputChannels 2:kernelChannels 10:nGroups 20*:kernelSize 30*:stride 40*:dilationFactor
    60b:isDeconvolution 70b:hasBias 100*:outputShape
120 pooling 1:type 10*:kernelSize 20*:stride 50b:avgPoolExcludePadding 60b:globalPooling
130 activation
140 innerProduct 1:inputChannels 2:outputChannels 10b:hasBias 22b:int8DynamicQuantize
150 embedding 1:inputDim 2:outputChannels 10b:hasBias
160 batchnorm 1:channels 5b:computeMeanVar 6b:instanceNormalization 10f:epsilon
165 mvn 1b:acrossChannels 2b:normalizeVariance 3f:epsilon
170 l2normalize 1f:epsilon
175 softmax
180 lrn 1f:alpha 2f:beta 3:localSize 4f:k
190 crop 5*:offset
200 padding
210 upsample 1*:scalingFactor 7*f:fractionalScalingFactor 5:mode 6:linearUpsampleMode
211 resizeBilinear 1*:targetSize
212 cropResize 1*:targetSize 2b:normalizedCoordinates 5f:spatialScale
220 unary 1:type 2f:alpha 3f:epsilon 4f:shift 5f:scale
230 add 1f:alpha
231 multiply 1f:alpha
240 average
245 scale 1*:shapeScale 3b:hasBias 4*:shapeBias
250 bias 1*:shape
260 max
261 min
270 dot 1b:cosineSimilarity
280 reduce 1:mode 2f:epsilon 3:axis
290 loadConstant 1*:shape
300 reshape 1*i:targetShape 2:mode
301 flatten 1:mode
310 permute 1*:axis
320 concat 100b:sequenceConcat
330 split 1:nOutputs
340 sequenceRepeat 1:nRepetitions
345 reorganizeData 1:mode 2:blockSize
350 slice 1i:startIndex 2i:endIndex 3:stride 4:axis
400 simpleRecurrent 1:inputVectorSize 2:outputVectorSize 15b:sequenceOutput 20b:hasBiasVector 100b:reverseInput
410 gru 1:inputVectorSize 2:outputVectorSize 15b:sequenceOutput 20b:hasBiasVectors 100b:reverseInput
420 uniDirectionalLSTM 1:inputVectorSize 2:outputVectorSize 100b:reverseInput
430 biDirectionalLSTM 1:inputVectorSize 2:outputVectorSize
500 custom 10s:className 40s:description
600 copy
605 branch
615 loop 1:maxLoopIterations 2s:conditionVar
620 loopBreak
625 loopContinue
635 rangeStatic 1f:endValue 2f:startValue 3f:stepSizeValue
640 rangeDynamic 2f:startValue 3f:stepSizeValue
660 clip 1f:minVal 2f:maxVal
665 ceil
670 floor
680 sign
685 round
700 exp2
710 sin
715 cos
720 tan
730 asin
735 acos
740 atan
750 sinh
755 cosh
760 tanh
770 asinh
775 acosh
780 atanh
790 erf
795 gelu 1:mode
815 equal 1f:alpha
820 notEqual 1f:alpha
825 lessThan 2f:alpha
827 lessEqual 2f:alpha
830 greaterThan 2f:alpha
832 greaterEqual 2f:alpha
840 logicalOr
845 logicalXor
850 logicalNot
855 logicalAnd
865 modBroadcastable
870 minBroadcastable
875 maxBroadcastable
880 addBroadcastable
885 powBroadcastable
890 divideBroadcastable
895 floorDivBroadcastable
900 multiplyBroadcastable
905 subtractBroadcastable
920 tile 1*:reps
925 stack 1i:axis
930 gather 1i:axis
935 scatter 1i:axis 2:mode
940 gatherND
945 scatterND 1:mode
950 softmaxND 1i:axis
952 gatherAlongAxis 1i:axis
954 scatterAlongAxis 1i:axis 2:mode
960 reverse 1*b:reverseDim
965 reverseSeq 1i:batchAxis 2i:sequenceAxis
975 splitND 1i:axis 2:numSplits 3*:splitSizes
980 concatND 1i:axis 2b:interleave
985 transpose 1*:axes
995 sliceStatic 1*i:beginIds 2*b:beginMasks 3*i:endIds 4*b:endMasks 5*i:strides 6*b:squeezeMasks
1000 sliceDynamic 2*b:beginMasks 3*i:endIds 4*b:endMasks 5*i:strides 6*b:squeezeMasks
1005 slidingWindows 1i:axis 2:windowSize 3:step
1015 topK 1i:axis 2:K 3b:useBottomK
1020 argMin 1i:axis 2b:removeDim
1025 argMax 1i:axis 2b:removeDim
1040 embeddingND 1:vocabSize 2:embeddingSize 3b:hasBias
1045 batchedMatmul 1b:transposeA 2b:transposeB 5:weightMatrixFirstDimension 6:weightMatrixSecondDimension 7b:hasBias
    10b:int8DynamicQuantize
1065 getShape
1070 loadConstantND 1*:shape
1080 fillLike 1f:value
1085 fillStatic 1f:value 2*:targetShape
1090 fillDynamic 1f:value
1100 broadcastToLike
1105 broadcastToStatic 1*:targetShape
1110 broadcastToDynamic
1120 squeeze 1*i:axes 2b:squeezeAll
1125 expandDims 1*i:axes
1130 flattenTo2D 1i:axis
1135 reshapeLike
1140 reshapeStatic 1*i:targetShape
1145 reshapeDynamic
1150 rankPreservingReshape 1*i:targetShape
1155 constantPad 1f:value 2*:padAmounts 3b:padToGivenOutputSizeMode
1170 randomNormalLike 1i:seed 2f:mean 3f:stdDev
1175 randomNormalStatic 1i:seed 2f:mean 3f:stdDev 4*:outputShape
1180 randomNormalDynamic 1i:seed 2f:mean 3f:stdDev
1190 randomUniformLike 1i:seed 2f:minVal 3f:maxVal
1195 randomUniformStatic 1i:seed 2f:minVal 3f:maxVal 4*:outputShape
1200 randomUniformDynamic 1i:seed 2f:minVal 3f:maxVal
1210 randomBernoulliLike 1i:seed 2f:prob
1215 randomBernoulliStatic 1i:seed 2f:prob 3*:outputShape
1220 randomBernoulliDynamic 1i:seed 2f:prob
1230 categoricalDistribution 1i:seed 2i:numSamples 3b:isLogits 4f:eps 5f:temperature
1250 reduceL1 1*i:axes 2b:keepDims 3b:reduceAll
1255 reduceL2 1*i:axes 2b:keepDims 3b:reduceAll
1260 reduceMax 1*i:axes 2b:keepDims 3b:reduceAll
1265 reduceMin 1*i:axes 2b:keepDims 3b:reduceAll
1270 reduceSum 1*i:axes 2b:keepDims 3b:reduceAll
1275 reduceProd 1*i:axes 2b:keepDims 3b:reduceAll
1280 reduceMean 1*i:axes 2b:keepDims 3b:reduceAll
1285 reduceLogSum 1*i:axes 2b:keepDims 3b:reduceAll
1290 reduceSumSquare 1*i:axes 2b:keepDims 3b:reduceAll
1295 reduceLogSumExp 1*i:axes 2b:keepDims 3b:reduceAll
1313 whereNonZero
1315 matrixBandPart 1i:numLower 2i:numUpper
1320 lowerTriangular 1i:k
1325 upperTriangular 1i:k
1330 whereBroadcastable
1350 layerNormalization 1*i:normalizedShape 2f:eps
1400 NonMaximumSuppression 1f:iouThreshold 2f:scoreThreshold 3:maxBoxes 4b:perClassSuppression
1450 oneHot 1:oneHotVectorSize 2i:axis 3f:onValue 4f:offValue
1455 cumSum 1i:axis 2b:excludeFinalSum 3b:reverse
1460 clampedReLU 1f:alpha 2f:beta
1461 argSort 1i:axis 2b:descending
1465 pooling3d 1:type 2i:kernelDepth 3i:kernelHeight 4i:kernelWidth 5i:strideDepth 6i:strideHeight 7i:strideWidth
    15:paddingType 8i:customPaddingFront 9i:customPaddingBack 10i:customPaddingTop 11i:customPaddingBottom
    12i:customPaddingLeft 13i:customPaddingRight 14b:countExcludePadding
1466 globalPooling3d 1:type
1470 sliceBySize 2i:size 3i:axis
1471 convolution3d 1i:outputChannels 2i:inputChannels 10i:nGroups 20i:kernelDepth 21i:kernelHeight 22i:kernelWidth
    31i:strideDepth 32i:strideHeight 33i:strideWidth 40i:dilationDepth 41i:dilationHeight 42i:dilationWidth
    50b:hasBias 70:paddingType 80i:customPaddingFront 81i:customPaddingBack 82i:customPaddingTop
    83i:customPaddingBottom 84i:customPaddingLeft 85i:customPaddingRight 86b:isDeconvolution 87*:outputShape
"""
"""One layer a line: its number in NeuralNetworkLayer, its name, its settings as number, type and name. Types: none for
an unsigned number or enumeration, i signed, b truth, f float, s text; `*` where it repeats."""

_KINDS = {
    "linear": "innerProduct batchedMatmul",
    "embedding": "embedding embeddingND",
    "batch_norm": "batchnorm",
    "layer_norm": "layerNormalization",
    "simple_rnn": "simpleRecurrent",
    "gru": "gru",
    "lstm": "uniDirectionalLSTM biDirectionalLSTM",
    "activation": "clampedReLU clip gelu erf tanh unary",
    "softmax": "softmax softmaxND",
    "unit_norm": "l2normalize",
    "pool": "pooling pooling3d",
    "global_pool": "globalPooling3d",
    "padding": "padding constantPad",
    "crop": "crop cropResize",
    "upsample": "upsample resizeBilinear",
    "reshape": "reshape flatten permute reorganizeData sequenceRepeat tile squeeze expandDims flattenTo2D transpose "
               "reshapeLike reshapeStatic reshapeDynamic rankPreservingReshape",
    "merge": "add multiply average max min dot concat concatND stack addBroadcastable multiplyBroadcastable "
             "subtractBroadcastable divideBroadcastable maxBroadcastable minBroadcastable",
    "parameter": "loadConstant loadConstantND scale bias",
    "custom": "custom",
}  # fmt: skip
_CONVOLUTIONS = {"convolution": 2, "convolution3d": 3}


class Setting(NamedTuple):
    """One setting of a layer: `type` is one of "", i, b, f, s."""

    number: int
    type: str
    name: str
    repeated: bool


class LayerType(NamedTuple):
    """One type of layer. `kind` is that of `service.vocabulary`; of a convolution that of its plain form."""

    name: str
    kind: str
    settings: tuple[Setting, ...]


def _setting(text: str) -> Setting:
    number, name = text.split(":")
    digits = number.rstrip("*ibfs")
    rest = number[len(digits) :]
    return Setting(int(digits), rest.replace("*", ""), name, "*" in rest)


def _table() -> dict[int, LayerType]:
    kinds = {name: kind for kind, names in _KINDS.items() for name in names.split()}
    kinds |= {name: f"conv{rank}d" for name, rank in _CONVOLUTIONS.items()}
    found: dict[int, LayerType] = {}
    for line in _LAYERS.replace("\n    ", " ").strip().splitlines():
        number, name, *settings = line.split()
        found[int(number)] = LayerType(name, kinds.get(name, "operation"), tuple(map(_setting, settings)))
    return found


LAYERS = _table()
"""Layer types by their number in NeuralNetworkLayer."""

ACTIVATIONS = {
    5: "linear", 10: "ReLU", 15: "leakyReLU", 20: "thresholdedReLU", 25: "PReLU", 30: "tanh", 31: "scaledTanh",
    40: "sigmoid", 41: "sigmoidHard", 50: "ELU", 60: "softsign", 70: "softplus", 71: "parametricSoftplus",
}  # fmt: skip
"""Functions of an activation layer by their number in ActivationParams."""
