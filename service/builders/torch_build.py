"""One build with PyTorch from request to model; knows the order of the steps, none of their details."""

from __future__ import annotations

import torch

from service.builders import common_list
from service.builders.common import Problems, check_total
from service.builders.torch_make import check
from service.builders.torch_run import Runner
from service.builders.torch_tree import Lister
from service.config import Limits
from service.errors import InvalidSpec
from service.formats import BuildRequest
from service.language import msg
from service.plain import output_tags, text
from service.tree import Model, ModelInfo


def build(request: BuildRequest, limits: Limits) -> Model:
    """See `service.builders.torch.build`."""
    if request.dialect != "layer_list":
        raise InvalidSpec(msg("PyTorch models have no architecture JSON; a spec for PyTorch is a layer list."))
    problems = Problems()
    plan = common_list.parse(request.spec, _name, limits, problems)
    for item in plan.layers:
        check(item, problems)
        if "." in item.name:
            said = msg("{label}: a name of a PyTorch module cannot hold a dot.", label=item.label)
            problems.add(f"{item.pointer}.name", said)
    problems.raise_if_any()
    layers = tuple(Lister({item.name for item in plan.inputs}).layers(Runner(limits).run(plan)))
    check_total((weight for layer in layers for weight in layer.weights), limits)
    return Model(
        info=ModelInfo(
            format="layer_list",
            framework="torch",
            name=text(plan.name) if plan.name else None,
            type=None if plan.graph else "Sequential",
            framework_version=str(torch.__version__),
            tags=output_tags(source.name for source in plan.outputs),
        ),
        layers=layers,
    )


def _name(_kind: str, index: int, taken: set[str]) -> str:
    """Names as `nn.Sequential` gives them: the place in the list."""
    name = str(index)
    while name in taken:
        name += "_"
    return name
