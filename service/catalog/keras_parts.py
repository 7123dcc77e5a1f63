"""Which names inside Keras' own packages are parts of a model, as a configuration may name them; an allow-list.

Keras imports whatever module of its own a file names, by its public path or by that of its source. Layers, what they
are made of and how they are trained lie in few of its parts; the others fetch, read, write, set up or run, also where
no list of gadgets knows the name. Knows names only; must not know files.
"""

from __future__ import annotations

import re

from service.catalog.pickle_names import is_standard, words

_WRAPPING = words(
    "tensorflow python compat v1 v2 _v1 _v2 keras tf_keras keras_core keras_hub keras_nlp keras_cv keras_tuner "
    "_tf_keras src api experimental __internal__ legacy _legacy"
)
"""Steps of a path before the part of Keras that is meant: `keras.src.legacy.layers` are layers."""
_CLASSES = words(
    "activations constraints core distillation dtype_policies engine feature_column initializers layers "
    "legacy_tf_layers losses metrics mixed_precision models objectives ops optimizer_experimental optimizer_v1 "
    "optimizer_v2 optimizers premade_models quantizers random regularizers rnn_cell samplers tokenizers"
)
"""Parts whose classes make up a model and its training; those at the top of Keras are the most common of them."""
_FUNCTIONS = words("activations constraints initializers losses metrics objectives ops random regularizers")
"""Parts whose functions do: an activation, a loss, an operation."""
_OTHERS = {
    "applications": words("CustomScaleLayer DepthwiseConv2D LayerScale StochasticDepth preprocess_input relu6"),
    "preprocessing": words("smart_resize"),
    "trainers": words("CompileLoss CompileMetrics"),
    "utils": words("FeatureSpace normalize pad_sequences to_categorical"),
}
"""Of other parts, these alone."""
_CLASS = re.compile(r"_?[A-Z]\w*\Z", re.ASCII)
_FUNCTION = re.compile(r"[a-z]\w*\Z", re.ASCII)
_MANAGING = words("deserialize get serialize custom_gradient")
_BACKEND_STATE = re.compile(
    r"(?:set|get|clear|enable|disable|manual|reset|is|in|name|print|load|save|batch_set|device)_"
)


def is_part(module: str, name: str, *, function: bool) -> bool:
    """Whether `name` of `module`, which is one of Keras, is a part of a model: a class of it, or a `function`."""
    steps = module.split(".")
    while steps and steps[0] in _WRAPPING:
        steps.pop(0)
    part = steps[0] if steps else ""
    if name in _OTHERS.get(part, ()):
        return True
    if not function:
        return (part in _CLASSES or not steps) and _CLASS.match(name) is not None
    if _FUNCTION.match(name) is None or name in _MANAGING or is_standard(name):
        return False
    return part in _FUNCTIONS or (_is_backend(steps) and _BACKEND_STATE.match(name) is None)


def _is_backend(steps: list[str]) -> bool:
    """Whether a path is that of Keras' own functions of tensors, not of what one backend is made of."""
    return steps[:1] == ["backend"] and all(step.endswith("_backend") for step in steps[1:])
