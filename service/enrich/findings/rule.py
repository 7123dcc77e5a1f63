"""What a rule of findings is; knows no rule."""

from __future__ import annotations

from typing import Literal

from service.basis import Frozen, Severity
from service.language import Message
from service.tree import Finding

Need = Literal["graph", "values", "config", "framework"]
"""What a rule cannot do without: who feeds whom, the numbers in the weights, the hyper-parameters, a framework whose
defaults it knows."""


class Rule(Frozen, frozen=True, kw_only=True):
    """One rule.

    Attributes:
        id: What findings and `?rules=` call it.
        severity: That of its findings; the highest, where they differ.
        title: A few words for a list of rules.
        why: Why what it finds matters.
        reference: Paper or documentation that says so.
        needs: What the model must hold for the rule to run.
    """

    id: str
    severity: Severity
    title: Message
    why: Message
    reference: str
    needs: tuple[Need, ...] = ()

    @property
    def needs_values(self) -> bool:
        """Whether it looks at the numbers in the weights."""
        return "values" in self.needs

    @property
    def page(self) -> str:
        """Its page in the documentation, from the root of the project."""
        return f"docs/rules/{self.id}.md"

    def found(self, what: Message, action: Message, path: str | None, severity: Severity | None = None) -> Finding:
        """A finding of this rule about the layer at `path`; None for the model as a whole."""
        return Finding(
            rule=self.id,
            severity=severity or self.severity,
            what=what,
            why=self.why,
            action=action,
            path=path,
            reference=self.reference,
        )
