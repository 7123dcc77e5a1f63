"""Tries at whoever takes the layers of a large model, which come in frames before the answer.

Frames that are none, announce what never comes, come without end, weigh more than they show, or fit no answer.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from service import frames, wire
from tests.service.sandbox.tries.answers import (
    ANSWER,
    answer_with,
    contents_tries,
    layer_with,
    nested_sentence,
    send_all,
)
from tests.service.sandbox.tries.base import Target, a_try, answer_pipe

_FRAME = struct.Struct("=BI")
_LAYERS_MARK = 2
_ONE = layer_with()


def framed(text: bytes, length: int | None = None, mark: int = _LAYERS_MARK) -> bytes:
    """A frame of layers, whatever it announces."""
    return _FRAME.pack(mark, len(text) if length is None else length) + text


CONTENTS: dict[str, Callable[[], bytes]] = {
    "a frame of nothing": lambda: framed(b"") + answer_with(),
    "a frame of noise": lambda: framed(bytes(range(256)) * 40) + answer_with(),
    "a frame of spaces": lambda: framed(b" " * 1000) + answer_with(),
    "a frame of bare texts": lambda: framed(b"\n".join([b'"a"'] * 100)) + answer_with(),
    "a frame of numbers": lambda: framed(b"1\n2\n3") + answer_with(),
    "a frame of empty objects": lambda: framed(b"{}\n{}") + answer_with(),
    "a frame that is a list": lambda: framed(b"[%s]" % _ONE) + answer_with(),
    "a frame that is an answer": lambda: framed(answer_with()) + answer_with(),
    "a frame with an empty line": lambda: framed(_ONE + b"\n\n" + _ONE) + answer_with(),
    "a frame with two layers in a line": lambda: framed(_ONE + _ONE) + answer_with(),
    "a frame in UTF-16": lambda: framed(_ONE.decode().encode("utf-16")) + answer_with(),
    "a frame in a frame": lambda: framed(framed(_ONE)) + answer_with(),
    "a layer in two frames": lambda: framed(_ONE[:20]) + framed(_ONE[20:]) + answer_with(),
    "a frame longer than announced": lambda: framed(_ONE, len(_ONE) - 3) + answer_with(),
    "a frame shorter than announced": lambda: framed(_ONE, len(_ONE) + 3) + answer_with(),
    "a frame cut off": lambda: framed(_ONE)[:-4],
    "half the head of a frame": lambda: framed(_ONE)[:3],
    "the head of a frame and its end": lambda: framed(b"", 1 << 20),
    "a frame that announces 4 GB": lambda: framed(_ONE, 2**32 - 1) + answer_with(),
    "4 GB announced, and a little more than an answer may have": lambda: framed(b" " * (3 << 20), 2**32 - 1),
    "a mark that is none": lambda: framed(_ONE, mark=3) + answer_with(),
    "a mark of zero": lambda: framed(_ONE, mark=0) + answer_with(),
    "layers and no answer": lambda: framed(_ONE),
    "layers of no model": lambda: framed(_ONE) + wire.encode(wire.Answer(probes={"socket": True})),
    "layers in two places": lambda: framed(_ONE) + answer_with(layers=_ONE),
    "layers behind the answer": lambda: answer_with() + framed(_ONE),
    "layers within the answer": lambda: answer_with()[:10] + framed(_ONE) + answer_with()[10:],
    "progress within a frame": lambda: framed(_ONE[:9] + frames.progress(1, 2) + _ONE[9:]) + answer_with(),
    "framed: a field that there is not": lambda: _framed_layer(b',"admin":true'),
    "framed: a path that is a number": lambda: framed(b'{"path":1,"name":"a","kind":"a"}') + answer_with(),
    "framed: counts that are text": lambda: _framed_layer(b',"uses":"many"'),
    "framed: a note that is bare text": lambda: _framed_layer(b',"notes":["x"]'),
    "framed: a note that is a list": lambda: _framed_layer(b',"notes":[[]]'),
    "framed: a note of no sentence": lambda: _framed_layer(b',"notes":[{}]'),
    "framed: sentences in sentences": lambda: _framed_layer(b',"notes":[%s]' % nested_sentence(100)),
    "framed: an explanation of bare texts": lambda: _framed_layer(b',"explanation":{"text":"x","expert":"y"}'),
    "framed: costs that are text": lambda: _framed_layer(b',"cost":{"macs":"many"}'),
    "framed: not a number": lambda: _framed_layer(b',"config":{"a":NaN}'),
    "framed: an infinite number": lambda: _framed_layer(b',"config":{"a":-Infinity}'),
    "framed: half a character": lambda: _framed_layer(b',"config":{"a":"\\ud800"}'),
    "framed: half a character as bytes": lambda: _framed_layer(b',"config":{"a":"\xed\xa0\x80"}'),
    "framed: bytes that are no UTF-8": lambda: _framed_layer(b',"config":{"a":"\xff"}'),
    "framed: settings 100,000 deep": lambda: _framed_layer(b',"config":{"a":%s%s}' % (b"[" * 10**5, b"]" * 10**5)),
}
"""What no child of ours would send ahead of an answer, nor an answer behind it."""


def _framed_layer(more: bytes) -> bytes:
    return framed(layer_with(more)) + answer_with()


contents_tries(CONTENTS)


@a_try(ANSWER, "layers without end, each in a frame of its own", deadly=True)
def endless_frames(_: Target) -> str:
    pipe, some = answer_pipe(), framed(_ONE) * 1000
    while True:
        os.write(pipe, some)


@a_try(ANSWER, "frames of progress and of layers in turn, without end", deadly=True)
def endless_turns(_: Target) -> str:
    pipe, some = answer_pipe(), (frames.progress(1, 2) + framed(_ONE)) * 500
    while True:
        os.write(pipe, some)


@a_try(ANSWER, "half a frame, and never the other half", deadly=True)
def stalled_frame(_: Target) -> str:
    os.write(answer_pipe(), framed(_ONE, 1 << 20)[:-5])
    while True:
        pass


@a_try(ANSWER, "a frame a byte at a time, without end", deadly=True)
def dripping_frame(_: Target) -> str:
    pipe = answer_pipe()
    os.write(pipe, framed(b"", 2 << 20))
    while True:
        os.write(pipe, b" ")


def _heavy(piece: bytes) -> Callable[[Target], str]:
    """Frames of few bytes each that hold as much as possible once they are decoded."""

    def how(_: Target) -> str:
        frame = framed(layer_with(b',"config":{"a":[%s1]}' % (piece * 100_000)))
        for _number in range(300):
            send_all(frame)
        return send_all(answer_with(), end=True)

    return how


HEAVY: list[str] = []
"""Names of those that weigh more than they show: they must be given more bytes than the others to get that far."""
WITHOUT_END = ("stalled_frame", "dripping_frame")
"""Names of those that only the deadline ends."""
for _name, _piece in {"objects": b"{},", "sentences": b'{"id":""},'}.items():
    _try = _heavy(_piece)
    _try.__name__ = f"heavy_{_name}"
    HEAVY.append(_try.__name__)
    a_try(ANSWER, f"frames of millions of empty {_name}, below the limit of bytes", deadly=True)(_try)
