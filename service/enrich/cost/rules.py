"""The rule of each kind of layer, and the way through wrappers to it."""

from __future__ import annotations

from collections.abc import Callable

from service.enrich.cost import attention, convolution, elementwise, linear, recurrent, wrapping
from service.enrich.cost.work import BEYOND, MAX_NUMBER, Call, Work, unknown

RULES: dict[str, Callable[[Call], Work]] = {
    **elementwise.KINDS,
    **linear.KINDS,
    **convolution.KINDS,
    **recurrent.KINDS,
    **attention.KINDS,
}


def work_of(call: Call) -> Work:
    """What one call does. Total: odd configurations and shapes give an unknown, never an error."""
    if call.kind in wrapping.KINDS:
        if call.torch:
            return wrapping.INSIDE_WORK
        inner = wrapping.inner_call(call)
        if isinstance(inner, Work):
            return inner
        call = inner
    rule = RULES.get(call.kind)
    work = rule(call) if rule is not None else unknown(elementwise.CODE)
    sane = 0 <= (work.macs or 0) <= MAX_NUMBER and 0 <= (work.more or 0) <= MAX_NUMBER
    return work if sane else unknown(BEYOND)
