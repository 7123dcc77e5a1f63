"""What /healthz and /readyz answer."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.shorthand import boolean, integer, mapping, string


class HealthSchema(Schema):
    """The process answers."""

    status = string("ok.")
    version = string("Version of the service.")


class WorkerSchema(Schema):
    """The warm process of one kind."""

    installed = boolean("Whether its interpreter and framework are there.")
    warm = boolean("Whether it takes tasks.")
    restarts = integer("How often it was replaced.")
    framework_version = string("Version of its framework.", null=True)
    layers = mapping("Layers of the wall around its children.", fields.Boolean())
    confined = boolean("Whether every layer stands and the self-test was stopped at every point.")
    selftest = mapping("What must be impossible in a child, tried: whether it was stopped.", fields.Boolean())
    landlock_abi = integer("The kernel's version of Landlock; 0 where it has none.")
    problem = string("Why it is not warm.", null=True)


class ReadySchema(Schema):
    """All workers are warm and confined."""

    status = string("ready.")
    version = string("Version of the service.")
    workers = mapping("By kind: static, keras, torch.", fields.Nested(WorkerSchema))
