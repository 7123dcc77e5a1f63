"""A chat template as the syntax tree that Jinja itself makes of it. Knows its dialects and bounds; renders nothing.

With Jinja's own parser what we see is what a loader would run. Only the parser is used: nothing is compiled, no name
is resolved, and no constant is computed.
"""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import Environment, TemplateError, nodes
from jinja2.ext import ExprStmtExtension, Extension, LoopControlExtension
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser

MAX_TOKENS = 50_000
"""Several times what the longest templates of models have; more is parsed too slowly."""


class TooLong(Exception):
    """It has more tokens, or is nested more deeply, than is followed."""


class _Bounded(Extension):
    """Counts tokens as they are read."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        for number, token in enumerate(stream):
            if number >= MAX_TOKENS:
                raise TooLong
            yield token


class _Generation(Extension):
    """The tag by which transformers marks what the model says."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


_ENVIRONMENT = Environment(autoescape=True, extensions=[_Bounded, _Generation, LoopControlExtension, ExprStmtExtension])


def parsed(template: str) -> nodes.Template | None:
    """Its tree; None for what Jinja cannot parse, and therefore cannot run.

    Raises:
        TooLong: If it has more tokens than `MAX_TOKENS`, or is nested more deeply than the parser goes.
    """
    try:
        return Parser(_ENVIRONMENT, template).parse()  # `Environment.parse` imports and compiles to show its errors
    except RecursionError:
        raise TooLong from None
    except (TemplateError, ValueError, OverflowError):
        return None


parsed(r"{{ '\N{LOW LINE}' }}")  # imports the names of characters: a sealed process cannot do so later
