"""Tries at whoever reads the answer: bytes that are none, too many, or say what is not a child's to say.

Each writes to the pipe what it likes and ends as if all were well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

from service import errors, frames, wire
from service.errors import ErrorInfo, InputError
from service.language import msg
from tests.service.sandbox.tries.base import Target, a_try, answer_pipe

ANSWER = "answer what is no answer"
ACCUSE = "answer in the name of the service"
_INFO = b'{"format":"tries","framework":"keras"%s}'
_MODEL = b'{"model":{"info":%s,"layers":[%s]%s}}'
_PLENTY = 3 << 20
"""Bytes: a little more than an answer of the tests may have."""


def send_all(data: bytes, *, end: bool = False) -> str:
    """Write all of `data` into the pipe; end the process then, if asked to."""
    pipe, view = answer_pipe(), memoryview(data)
    while view:
        view = view[os.write(pipe, view[: 1 << 16]) :]
    if end:
        os._exit(0)
    return ""


def answer_with(*, info: bytes = b"", layers: bytes = b"", rest: bytes = b"") -> bytes:
    """A model as a child would answer it, with these pieces put in."""
    return _MODEL % (_INFO % info, layers, rest)


def layer_with(more: bytes = b"") -> bytes:
    """A layer as a child would describe it, with more put in."""
    return b'{"path":"a","name":"a","kind":"linear"%s}' % more


CONTENTS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "spaces": lambda: b" " * 1000,
    "noise": lambda: bytes(range(256)) * 40,
    "half an answer": lambda: answer_with(layers=layer_with())[:-20],
    "an answer twice": lambda: answer_with() * 2,
    "an answer with a tail": lambda: answer_with() + b"{}",
    "an answer in UTF-16": lambda: answer_with().decode().encode("utf-16"),
    "an answer after a mark of byte order": lambda: b"\xef\xbb\xbf" + answer_with(),
    "a list": lambda: b"[]",
    "no result": lambda: b"{}",
    "two results": lambda: b'{"probes":{},"error":{"code":"malformed_file","detail":"x"}}',
    "an unknown field": lambda: b'{"probes":{},"admin":true}',
    "a field twice": lambda: b'{"probes":{},"probes":{},"model":null}'[:-1] + b',"error":{"code":"x","detail":"x"}}',
    "layers that are text": lambda: _MODEL % (_INFO % b"", b'"a"', b""),
    "layers that are numbers": lambda: _MODEL % (_INFO % b"", b"1,2", b""),
    "a path that is a number": lambda: answer_with(layers=b'{"path":1,"name":"a","kind":"a"}'),
    "counts that are text": lambda: answer_with(layers=layer_with(b',"uses":"many"')),
    "a sentence that is a list": lambda: answer_with(rest=b',"notes":[[]]'),
    "a sentence that is bare text": lambda: answer_with(rest=b',"notes":["x"]'),
    "sentences in sentences": lambda: answer_with(rest=b',"notes":[%s]' % nested_sentence(100)),
    "not a number": lambda: answer_with(info=b',"tags":{"a":NaN}'),
    "an infinite number": lambda: answer_with(info=b',"tags":{"a":Infinity}'),
    "a number beyond all floats": lambda: answer_with(rest=b',"seconds":1e999'),
    "a number of a million digits": lambda: answer_with(info=b',"bytes":1%s' % (b"0" * 10**6)),
    "half a character": lambda: answer_with(info=b',"name":"\\ud800"'),
    "half a character as bytes": lambda: answer_with(info=b',"name":"\xed\xa0\x80"'),
    "bytes that are no UTF-8": lambda: answer_with(info=b',"name":"\xff"'),
    "a name with a zero": lambda: b'{"probes":{"\x00":true}}',
    "lists 100,000 deep": lambda: answer_with(info=b',"tags":{"a":%s%s}' % (b"[" * 10**5, b"]" * 10**5)),
    "objects 100,000 deep": lambda: answer_with(info=b',"tags":%s1%s' % (b'{"a":' * 10**5, b"}" * 10**5)),
    "layers 100,000 deep in settings": lambda: answer_with(
        layers=layer_with(b',"config":{"a":%s%s}' % (b"[" * 10**5, b"]" * 10**5))
    ),
    "too many bytes of text": lambda: answer_with(info=b',"name":"%s"' % (b"x" * _PLENTY)),
    "a frame of progress behind the answer": lambda: answer_with() + frames.progress(1, 2),
    "half a frame of progress": lambda: frames.progress(1, 2)[:5],
    "an answer to a self-test": lambda: b'{"probes":{"socket":true}}',
    "a format that is a megabyte long": lambda: answer_with(rest=b"").replace(b'"tries"', b'"%s"' % (b"x" * (1 << 20))),
    "a reader that is a megabyte long": lambda: answer_with()[:-1] + b',"reader":"%s"}' % (b"x" * (1 << 20)),
    "fewer bytes read than none": lambda: answer_with()[:-1] + b',"bytes_read":-1}',
    "more bytes read than there are": lambda: answer_with()[:-1] + b',"bytes_read":%d}' % 2**64,
    "fewer seconds than none": lambda: answer_with()[:-1] + b',"seconds":-1.0}',
}
"""Contents that no child of ours would write, and that nobody may take for an answer."""


def nested_sentence(depth: int) -> bytes:
    """Sentences filled into one another."""
    return b'{"id":"{a}","args":{"a":' * depth + b'"x"' + b"}}" * depth


def _register(what: str, make: Callable[[], bytes]) -> None:
    def how(_: Target) -> str:
        return send_all(make(), end=True)

    how.__name__ = "answer_" + "_".join("".join(c if c.isalnum() else " " for c in what).split())
    a_try(ANSWER, what, deadly=True)(how)


def contents_tries(contents: Mapping[str, Callable[[], bytes]]) -> None:
    """Add a try for each of `contents` by name."""
    for what, make in contents.items():
        _register(what, make)


contents_tries(CONTENTS)


def foreign_codes() -> Iterator[str]:
    """Codes of errors that are not a child's to give."""
    for code, kind in sorted(errors.BY_CODE.items()):
        given = issubclass(kind, InputError) or code in ("worker_crashed", "worker_out_of_memory")
        if not given:
            yield code


def _accuse(code: str) -> None:
    def how(_: Target) -> str:
        info = ErrorInfo(code=code, detail=msg("A lie."), extra={"status": 200, "retry_after": 10**9})
        return send_all(wire.encode(wire.Answer(error=info)), end=True)

    how.__name__ = f"accuse_{code}"
    a_try(ACCUSE, code.replace("_", " "), deadly=True)(how)


for _code in (*foreign_codes(), "made_up", ""):
    _accuse(_code)


@a_try(ANSWER, "bytes without end", deadly=True)
def flood(_: Target) -> str:
    pipe = answer_pipe()
    while True:
        os.write(pipe, b"x" * 65536)


@a_try(ANSWER, "progress without end", deadly=True)
def chatter(_: Target) -> str:
    pipe = answer_pipe()
    while True:
        os.write(pipe, frames.progress(1, 2) * 1000)


@a_try(ANSWER, "progress of nothing at all", deadly=True)
def meaningless_progress(_: Target) -> str:
    for frame in ((0, 0), (2**64 - 1, 0), (2**64 - 1, 1)):
        os.write(answer_pipe(), frames.progress(*frame))
    os._exit(0)


@a_try(ANSWER, "an error of many megabytes", deadly=True)
def endless_error(_: Target) -> str:
    extra = {str(number): "x" * 1000 for number in range(2_000)}
    error = ErrorInfo(code="malformed_file", detail=msg("x"), extra=extra)
    return send_all(wire.encode(wire.Answer(error=error)), end=True)
