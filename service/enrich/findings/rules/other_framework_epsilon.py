"""An epsilon of a normalisation that is the other framework's default; knows both defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator

from service.enrich.findings.context import Context
from service.enrich.findings.reading import number
from service.enrich.findings.rule import Rule
from service.language import msg
from service.tree import Finding

RULE = Rule(
    id="other_framework_epsilon",
    severity="info",
    title=msg("Epsilon of a normalisation that is the other framework's default"),
    why=msg(
        "Keras adds 0.001 to the variance if nothing is said, PyTorch 0.00001. A model that was carried over keeps the "
        "epsilon it was trained with; one that was written anew may have it by mistake."
    ),
    reference="https://keras.io/api/layers/normalization_layers/batch_normalization/",
    needs=("framework", "config"),
)
_KEEP = msg("Keep it if the weights were trained with it: the outputs change with epsilon where variances are small.")
_OWN = {"keras": 1e-3, "torch": 1e-5}
_NAMES = {"keras": "Keras", "torch": "PyTorch"}
_NEARLY = 0.002
"""keras.applications writes 1.001e-5."""


def check(context: Context) -> Iterator[Finding]:
    """One finding per kind of normalisation: where the value is met first, and how often."""
    other = "torch" if context.framework == "keras" else "keras"
    for kind in ("batch_norm", "layer_norm", "group_norm"):
        same = []
        for layer in context.own(kind):
            epsilon = number(layer.config.get("epsilon", layer.config.get("eps")))
            if epsilon is not None and math.isclose(epsilon, _OWN[other], rel_tol=_NEARLY):
                same.append((layer, epsilon))
        if same:
            first, epsilon = same[0]
            what = msg(
                "epsilon={epsilon} of {layer} is the default of {other}, not that of {framework} ({own}). Layers of "
                "this type that have it: {count}.",
                epsilon=f"{epsilon:.6g}", layer=first.path, count=len(same), other=_NAMES[other],
                framework=_NAMES[context.framework], own=f"{_OWN[context.framework]:.6g}",
            )  # fmt: skip
            yield RULE.found(what, _KEEP, first.path)
