"""What /healthz and /readyz answer."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.shorthand import boolean, integer, mapping, nested, optional, sentence, string


class HealthSchema(Schema):
    """The process answers."""

    status = string("ok.")
    version = optional(string("Version of the service; left out where a key is needed."))


class WorkerSchema(Schema):
    """The warm process of one kind."""

    installed = boolean("Whether its interpreter and framework are there.")
    warm = boolean("Whether it takes tasks.")
    restarts = integer("How often it was replaced.")
    framework_version = string("Version of its framework.", null=True)
    layers = mapping("Layers of the wall around its children.", fields.Boolean())
    confined = boolean(
        "Whether every layer stands and the self-test was stopped at every point; null until its process has shown it.",
        null=True,
    )
    selftest = mapping("What must be impossible in a child, tried: whether it was stopped.", fields.Boolean())
    landlock_abi = integer("The kernel's version of Landlock; 0 where it has none.")
    problem = string("Why it is not warm.", null=True)


class CheckSchema(Schema):
    """Whether one thing that is needed to keep what is sent is well."""

    ok = boolean("Whether it is.")
    problem = sentence("What is wrong.", null=True)
    needs = sentence("What it needs.", null=True)


class TokenKeysSchema(Schema):
    """The public keys that tokens are checked with."""

    keys = integer("How many can be used.")
    problem = string("Why they could not be loaded anew.", null=True)


class AccessSchema(Schema):
    """Who is let in."""

    required = boolean("Whether a key or token is needed.")
    tokens = nested(TokenKeysSchema, "How tokens fare; null where none are taken.", null=True)


class ReadySchema(Schema):
    """All workers are warm and confined. Where a key is needed, only an administrator is told more than that."""

    status = string("ready.")
    version = optional(string("Version of the service."))
    workers = optional(mapping("By kind: static, keras, torch.", fields.Nested(WorkerSchema)))
    access = optional(nested(AccessSchema, "Who is let in."))
    keeping = optional(
        mapping("database, disk (its room), spool (the folder of uploads), retention.", fields.Nested(CheckSchema))
    )
