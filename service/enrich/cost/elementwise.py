"""Layers without matrix products: normalisations, activations, pools, merges, changes of shape. No MACs, few FLOPs.

Where one name stands for products as well (a merge, a bare operation), they are told apart here and counted elsewhere.

The convention: one FLOP for every addition, multiplication, division, comparison or elementary function (exp, tanh,
sqrt) of one element, as the layer computes it when it serves. What only moves elements costs none.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from service.enrich.cost import linear, products
from service.enrich.cost.work import SIZES_MISSING, SOFTMAX, Call, Work, activated, option, unknown, wholes, words
from service.language import Message, msg

NO_PRODUCTS = msg("Holds no matrix product.")
MOVES = msg("Only moves or looks up elements: no arithmetic.")
IDLE = msg("Does nothing when the model serves: it acts in training only.")
INSIDE = msg("What it does is counted at the layers inside it.")
FIXED = msg("One multiplication and one addition per element: when serving, the statistics are constants.")
MEASURED = msg(
    "Per element seven: sum for the mean, subtraction, square and sum for the variance, multiplication by its root, "
    "scale, offset."
)
RMS = msg("Per element four: square, sum, multiplication by the root, scale.")
FUNCTION = msg("One function per element.")
SOFTMAX_METHOD = msg("Per element five: the largest is found and subtracted, exponential, sum, division.")
POOL = msg("Per output element one addition or comparison for each element of the window.")
GLOBAL = msg("One addition or comparison per input element.")
MERGE = msg("Per output element one operation less than there are inputs; concatenation has none.")
INTERPOLATION = msg("Nearest neighbours are copied; linear interpolation costs two per neighbour that is weighted.")
RESIDUAL = msg(
    "Its own additions around attention and feed-forward, one per element; all else is in the layers inside."
)
QUANTIZE = msg("Two per element: a multiplication and a rounding.")
CODE = msg("What it computes is code of the model's own, which is not read or run.")
OPERATION = msg("What this operation costs is not known here.")
LOSS = msg("A loss is not computed when the model serves.")
PREPARED = msg("What this preparation of data costs is not counted.")

Rule = Callable[[Call], Work]


def _nothing(method: Message) -> Rule:
    work = Work(0, 0, method)
    return lambda _call: work


def _unknown(reason: Message) -> Rule:
    work = unknown(reason)
    return lambda _call: work


def _each(flops: int, method: Message) -> Rule:
    """So many FLOPs per output element."""
    blank = Work(0, None, method)

    def rule(call: Call) -> Work:
        return Work(0, flops * prod(call.outs[0]), method) if call.outs else blank

    return rule


def activation(call: Call) -> Work:
    """One function per element, whichever; softmax five."""
    if call.type == "Activation" and call.outs:
        flops = activated(call)
        softmax = flops == SOFTMAX * prod(call.outs[0]) and flops > 0
        return Work(0, flops, SOFTMAX_METHOD if softmax else FUNCTION)
    return _FUNCTION(call)


_FUNCTION = _each(1, FUNCTION)


def pool(call: Call) -> Work:
    """The window's elements; an adaptive window covers every input element about once."""
    if not call.outs:
        return Work(0, None, POOL)
    rank = len(call.outs[0]) - 2
    window = wholes(option(call.config, "kernel_size", "pool_size"), rank)
    if window is None and call.type.startswith("Adaptive"):
        return global_pool(call)
    return Work(0, None if window is None else prod(call.outs[0]) * prod(window), POOL)


def global_pool(call: Call) -> Work:
    """Every input element once."""
    return Work(0, prod(call.ins[0]) if call.ins else None, GLOBAL)


def merge(call: Call) -> Work:
    """Add, multiply ... element by element; MatMul, Dot and Core ML's `dot` are products."""
    if call.type == "MatMul":
        return linear.matrix_product(call)
    if call.type == "Dot":
        return linear.dot(call)
    if call.type in _JOINS:
        return Work(0, 0, MERGE)
    if call.type == "dot":
        return Work(prod(call.ins[0]), 0, linear.PRODUCT) if call.ins else unknown(SIZES_MISSING)
    if not call.ins or not call.outs:
        return Work(0, None, MERGE)
    operations = len(call.ins) - (call.type != "Average")
    return Work(0, operations * prod(call.outs[0]), MERGE)


_JOINS = words(
    "Concatenate Stack Concat ConcatV2 concat concatND stack CONCATENATION PACK Pack QLinearConcat",
    "STABLEHLO_CONCATENATE",
)
"""How the frameworks call putting tensors beside each other."""


def upsample(call: Call) -> Work:
    """Copies, or weighs two neighbours along each axis."""
    mode = option(call.config, "mode", "interpolation") or "nearest"
    if mode == "nearest" or "Nearest" in call.type or "Shuffle" in call.type or "Unpool" in call.type:
        return Work(0, 0, INTERPOLATION)
    if not call.outs:
        return Work(0, None, INTERPOLATION)
    return Work(0, 2 * 2 ** min(3, max(1, len(call.outs[0]) - 2)) * prod(call.outs[0]), INTERPOLATION)


def transformer_layer(call: Call) -> Work:
    """The residual additions: two in an encoder's layer, three in a decoder's."""
    if not call.outs:
        return Work(0, None, RESIDUAL)
    return Work(0, (3 if "Decoder" in call.type else 2) * prod(call.outs[0]), RESIDUAL)


def embedding(call: Call) -> Work:
    """A row is looked up; a bag adds its rows up, and so do the segments of TensorFlow."""
    if call.type != "EmbeddingBag" and not call.type.startswith("SparseSegment"):
        return _MOVES(call)
    if not call.ins or not call.outs or not call.outs[0]:
        return Work(0, None, GLOBAL)
    return Work(0, prod(call.ins[0]) * call.outs[0][-1], GLOBAL)


_MOVES = _nothing(MOVES)


def container(call: Call) -> Work:
    """Containers of the frameworks only call what is inside; a class of the model's own may do more."""
    layer = call.layer
    own = layer.inputs is None if layer.custom and not call.torch else layer.custom
    return unknown(CODE) if own or call.kind == "model" else _INSIDE(call)


_INSIDE = _nothing(INSIDE)


def preprocessing(call: Call) -> Work:
    """Rescaling is arithmetic; what acts in training only costs nothing; the rest is not counted."""
    if call.type == "Rescaling":
        return _RESCALED(call)
    if call.type.startswith("Random") and call.type not in ("RandomCrop", "RandomHeight", "RandomWidth"):
        return _IDLE(call)
    return Work(0, None, MOVES) if call.type in _LOOKUPS else unknown(PREPARED)


_RESCALED = _each(2, FIXED)
_IDLE = _nothing(IDLE)
_LOOKUPS = words(
    "StringLookup IntegerLookup IndexLookup Hashing HashedCrossing Discretization CategoryEncoding TextVectorization ",
    "CategoryCrossing",
)

_MOVING = words(
    "reshape transpose squeeze expanddims getitem slice stack concatenate split flatten ravel swapaxes",
    "moveaxis repeat tile broadcastto pad cast identity flip roll take gather unstack shape zeroslike",
    "oneslike zeros ones fulllike select permute stridedslice concat reverse stopgradient onehot arange",
    "where unsqueeze expand expandas view viewas chunk narrow clone detach contiguous unbind unfold",
    "fill filllike fillstatic filldynamic fillconstant fillanylike fillzeroslike constantofshape full eye eyelike",
    "range rangestatic rangedynamic iota linspace meshgrid size rank shapeof shape64 getshape shapen broadcast",
    "broadcastargs broadcastlike broadcasttolike broadcasttostatic broadcasttodynamic broadcastindim",
    "pack unpack parallelstack concatenation concatnd splitnd splitv variadicsplit slicebyindex slicebysize",
    "slicestatic slicedynamic dynamicslice dynamicsliceupdate dynamicupdateslice sliceupdate crop slidingwindows",
    "gathernd gatherelements gatheralongaxis gathertree takealongaxis index indexselect maskedselect maskedfill",
    "scatter scatternd scatterelements scatterelementsupdate scatterndupdate scatterupdate tensorscatterupdate",
    "scatteralongaxis putalongaxis wherebroadcastable wherenonzero nonzero reversesequence rot90 shufflechannel",
    "channelshuffle spacetodepth depthtospace spacetobatchnd batchtospacend spacetobatch batchtospace im2col",
    "trilu tril triu lowertriangular uppertriangular bandpart matrixbandpart diag diagpart matrixdiag matrixsetdiag",
    "assign assignvalue assignvariable readvalue readvariable varhandle copy deepcopy sharedata noop",
    "identityn result convert convertlike castlike bitcast densify sparsereshape sparsetodense invertpermutation",
    "dynamicstitch dynamicpartition sequenceat sequenceconstruct sequenceempty sequenceinsert sequencelength",
    "concatfromsequence splittosequence compress makelist listread listwrite listgather listscatter listlength",
    "readstate coremlupdatestate",
)
SINGLE_OPERATIONS = words(
    "add subtract sub multiply mul divide truediv floordivide mod power pow maximum minimum relu relu6 sigmoid tanh ",
    "gelu silu swish elu selu leakyrelu softplus softsign hardsigmoid hardsilu hardswish exp log log1p sqrt rsqrt ",
    "square abs absolute negative neg sin cos clip sign logicalnot logicaland logicalor equal notequal greater less ",
    "greaterequal lessequal isnan reciprocal div realdiv divnonan floordiv floormod truncatediv fmod remainder rsub ",
    "biasadd not and or xor logicalxor bitwiseand bitwiseor bitwisexor bitwisenot bitshift leftshift rightshift ",
    "greaterorequal lessorequal isinf isfinite floor ceil ceiling round rint trunc erf tan asin acos atan sinh cosh ",
    "asinh acosh atanh atan2 expm1 exp2 log2 log10 cbrt clamp hardtanh mish logistic clipbyvalue threshold ",
    "elementwiseadd elementwisesub elementwisemul elementwisediv elementwisemax elementwisemin elementwisepow ",
    "elementwisemod elementwisefloordiv addbroadcastable subtractbroadcastable multiplybroadcastable ",
    "dividebroadcastable maxbroadcastable minbroadcastable modbroadcastable powbroadcastable unaryop binaryop",
)
_REDUCING = words(
    "mean sum max min amax amin prod any all argmax argmin reducemean reducesum reducemax reducemin reduceprod",
    "reduceany reduceall reducelogicaland reducelogicalor reduceargmax reduceargmin",
)
_OTHERS = words(
    "topk sort argsort nonmaxsuppression unique uniquewithcounts cumsum cumprod lrn localresponsenormalization scale",
    "squareddifference reducel1 reducel2 reducelogsum reducelogsumexp reducesumsquare reducel1norm reducel2norm",
    "logsumexp std var segmentsum segmentmean segmentmax sparsesegmentsum sparsesegmentmean sparsesegmentsqrtn",
    "unsortedsegmentsum unsortedsegmentmax unsortedsegmentmin unsortedsegmentprod sparsefillemptyrows bucketize",
    "searchsorted stringtohashbucketfast stringtohashbucket hashtable hashtablefind lookuptablefind randomnormal",
    "randomuniform randomnormallike randomuniformlike randomstandardnormal multinomial priorbox priorboxclustered",
    "nonmaximumsuppression detectionoutput regionyolo yolobox multiclassnms multiclassnms3 proposal ctcgreedydecoder",
)
_BOOKS = ("tensorarray", "tensorlist")
"""How the names of TensorFlow's lists of tensors begin, which only keep what others compute."""


def operation(call: Call) -> Work:
    """A single tensor operation of a graph, by its name."""
    function = call.config.get("function")
    name = _plain(function if isinstance(function, str) else call.type)
    if name == "mul" and "x_num_col_dims" in call.config:
        return products.flattened(call)
    if name in products.NAMES:
        return products.product(call)
    if name == "einsum":
        return linear.einsum(call)
    if name in _MOVING or name.startswith(_BOOKS):
        return _MOVES(call)
    if name in SINGLE_OPERATIONS:
        return _FUNCTION(call)
    if name in _REDUCING:
        return global_pool(call)
    if name in _OTHERS:
        return _NO_PRODUCT
    return _SOFTMAX(call) if name in ("softmax", "logsoftmax") else unknown(OPERATION)


def _plain(spoken: str) -> str:
    """A name without what the frameworks put around it: `torch.`, `aten::` and `.out`, `STABLEHLO_`, `V2`, `_copy`."""
    name = spoken.partition("::")[2].partition(".")[0] if "::" in spoken else spoken.rpartition(".")[2]
    name = name.lower().removesuffix("_copy").replace("_", "").removeprefix("stablehlo")
    return name[:-2] if name[-2:-1] == "v" and name[-1:].isdigit() else name


_NO_PRODUCT = Work(0, None, NO_PRODUCTS)
_SOFTMAX = _each(SOFTMAX, SOFTMAX_METHOD)

KINDS: dict[str, Rule] = {
    "input": _MOVES,
    "embedding": embedding,
    "batch_norm": _each(2, FIXED),
    "normalization": _each(2, FIXED),
    "layer_norm": _each(7, MEASURED),
    "group_norm": _each(7, MEASURED),
    "instance_norm": _each(7, MEASURED),
    "rms_norm": _each(4, RMS),
    "unit_norm": _each(4, RMS),
    "activation": activation,
    "prelu": _each(2, FIXED),
    "softmax": _SOFTMAX,
    "dropout": _IDLE,
    "noise": _IDLE,
    "regularization": _IDLE,
    "pool": pool,
    "global_pool": global_pool,
    "padding": _MOVES,
    "crop": _MOVES,
    "reshape": _MOVES,
    "masking": _FUNCTION,
    "upsample": upsample,
    "merge": merge,
    "quantization": _each(2, QUANTIZE),
    "transformer": _INSIDE,
    "transformer_layer": transformer_layer,
    "container": container,
    "model": container,
    "preprocessing": preprocessing,
    "operation": operation,
    "loss": _nothing(LOSS),
    "lambda": _unknown(CODE),
    "custom": _unknown(CODE),
    "parameter": _unknown(msg("Its weights are used by code of the model's own, which is not read or run.")),
    "unknown": _unknown(msg("What kind of layer this is the file does not tell.")),
}
