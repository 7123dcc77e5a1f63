"""Holds a model against every rule of findings; knows how a rule is found and run, and no rule by name.

A rule is one module in `service/enrich/findings/rules/` with `RULE` and `check(context)`. What a rule cannot do without
(a graph, hyper-parameters, values) and the model does not have, keeps it from running, and `Model.rules` says so.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from service.enrich.findings import rules as rules_package
from service.enrich.findings.context import Context, context_of
from service.enrich.findings.rule import Need, Rule
from service.frameworks import OWN_RULES
from service.language import Message, msg, msgn, sentences
from service.tree import Finding, Model, RuleRun

MAX_FINDINGS = 200
"""Most findings kept of one rule: whoever has that many has read enough."""

Check = Callable[[Context], Iterator[Finding]]

_NO_GRAPH = msg("The file does not say which layer feeds which.")
_NO_VALUES = msg("The values of the weights were not read; ask with stats=true.")
_NO_FRAMEWORK = msg("It compares with the defaults of Keras and PyTorch, and the file is neither's.")
_NO_CONFIG = msg("The file holds no hyper-parameters.")


def add_findings(model: Model) -> Model:
    """`model` with the findings of every rule behind those it has, and what each rule did in `rules`.

    Running it again, with statistics say, replaces what the rules found before.
    """
    context = context_of(model)
    ours = set(rule_ids())
    found = [finding for finding in model.findings if finding.rule not in ours]
    runs: list[RuleRun] = []
    for rule, check in _modules().values():
        more, run = _run(context, rule, check)
        found.extend(more)
        runs.append(run)
    return msgspec.structs.replace(model, findings=tuple(found), rules=tuple(runs))


def rule_ids() -> tuple[str, ...]:
    """The ids of all rules, in alphabetical order."""
    return tuple(_modules())


def rules() -> tuple[Rule, ...]:
    """All rules, by id."""
    return tuple(rule for rule, _ in _modules().values())


@functools.cache
def _modules() -> dict[str, tuple[Rule, Check]]:
    found: dict[str, tuple[Rule, Check]] = {}
    for entry in pkgutil.iter_modules(rules_package.__path__):
        module = importlib.import_module(f"{rules_package.__name__}.{entry.name}")
        found[module.RULE.id] = (module.RULE, module.check)
    return dict(sorted(found.items()))


def _run(context: Context, rule: Rule, check: Check) -> tuple[list[Finding], RuleRun]:
    reason = next((why for need in rule.needs if (why := _LACKS[need](context)) is not None), None)
    if reason is not None:
        return [], RuleRun(rule=rule.id, ran=False, reason=reason)
    findings = check(context)
    kept = list(islice(findings, MAX_FINDINGS))
    left_out = sum(1 for _ in findings)
    return kept, RuleRun(rule=rule.id, ran=True, reason=_limits(context, rule, left_out))


# What keeps a rule from running, and what it could not see


def _lacks_graph(context: Context) -> Message | None:
    return None if context.graph.before or context.graph.after else _NO_GRAPH


def _lacks_values(context: Context) -> Message | None:
    return None if context.measured else _NO_VALUES


def _lacks_config(context: Context) -> Message | None:
    return None if context.configured else _NO_CONFIG


def _lacks_framework(context: Context) -> Message | None:
    return None if context.model.info.framework in OWN_RULES else _NO_FRAMEWORK


_LACKS: dict[Need, Callable[[Context], Message | None]] = {
    "graph": _lacks_graph,
    "values": _lacks_values,
    "config": _lacks_config,
    "framework": _lacks_framework,
}


def _limits(context: Context, rule: Rule, left_out: int) -> Message | None:
    """What a rule that ran left out or could not see; None if that is nothing."""
    parts = [
        msgn("{n} more finding of this rule is left out.", "{n} more findings of this rule are left out.", n=left_out)
        if left_out
        else None,
        _unseen(context) if "graph" in rule.needs else None,
        _unread(context) if rule.needs_values else None,
    ]
    return sentences(*parts) if any(parts) else None


def _unseen(context: Context) -> Message | None:
    if not context.unseen:
        return None
    return msgn(
        "The file does not say where the output of {n} layer goes; this rule passed it over.",
        "The file does not say where the outputs of {n} layers go; this rule passed them over.",
        n=context.unseen,
    )


def _unread(context: Context) -> Message | None:
    unread = sum(
        1
        for layer in context.model.layers
        for weight in layer.weights
        if weight.tied_to is None and (weight.statistics is None or weight.statistics.status != "complete")
    )
    if not unread:
        return None
    return msgn(
        "The values of {n} weight were not read completely; this rule passed it over.",
        "The values of {n} weights were not read completely; this rule passed them over.",
        n=unread,
    )
