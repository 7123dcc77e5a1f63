"""What passes the pipe before an answer is taken off, checked and bounded, however it is cut into reads."""

from __future__ import annotations

import struct

import pytest

from service import wire
from service.enrich.pipeline import enrich
from service.errors import LimitExceeded, WorkerCrashed
from service.frames import AT_ONCE, TALK_BYTES, Received, Sender, progress
from service.tree import Layer
from tests.builders import layer, model, weight

MOST = 1 << 30
PROBES = wire.encode(wire.Answer(probes={}))
BARE = wire.encode(wire.Answer(model=model("keras")))


def some(count: int) -> tuple[Layer, ...]:
    """So many finished layers."""
    return enrich(model("keras", *(layer(f"l{at}", "linear", weight("kernel", (2, 3))) for at in range(count)))).layers


def framed(text: bytes, length: int | None = None) -> bytes:
    """A frame of layers."""
    return struct.pack("=BI", 2, len(text) if length is None else length) + text


def lines(*layers: Layer) -> bytes:
    return wire.layer_encoder()(layers)


def received(*pieces: bytes, maximum: int = MOST) -> Received:
    found = Received(maximum)
    for piece in pieces:
        found.take(piece)
    return found


@pytest.mark.parametrize("step", [1, 7, 17, 1000])
def test_frames_are_taken_off_however_they_arrive(step: int) -> None:
    """Byte by byte or all at once: the same shares, the same layers, the same answer."""
    layers = some(3)
    text = progress(1, 4) + framed(lines(*layers[:2])) + progress(3, 4) + framed(lines(layers[2])) + BARE
    shares: list[float] = []
    found = Received(MOST, shares.append)
    for start in range(0, len(text), step):
        found.take(text[start : start + step])
    answer = found.answer().model
    assert answer is not None
    assert answer.layers == layers
    assert shares in ([0.25, 0.75], [0.75])


@pytest.mark.parametrize(
    ("done", "total", "share"), [(0, 4, 0.0), (5, 4, 1.0), (1, 0, None), (2**70, 2**80, 1.0), (1, 2**64 - 1, 0.0)]
)
def test_progress_is_a_share_or_nothing(done: int, total: int, share: float | None) -> None:
    """Whatever is claimed; numbers that no file has are cut."""
    told: list[float] = []
    found = Received(MOST, told.append)
    found.take(progress(done, total) + PROBES)
    assert told == ([] if share is None else [pytest.approx(share, abs=1e-9)])
    assert found.answer().probes == {}


def test_progress_is_no_part_of_the_answer_s_size() -> None:
    """But has a bound of its own: nobody listens to talk without end."""
    found = received(*[progress(1, 2)] * 1000, PROBES, maximum=len(PROBES))
    assert found.answer().probes == {}
    with pytest.raises(LimitExceeded) as error:
        received(progress(1, 2) * (TALK_BYTES // 17 + 1))
    assert error.value.info.extra["limit"] == "progress_bytes"


@pytest.mark.parametrize("count", [0, 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
def test_layers_arrive_as_they_were_sent(count: int) -> None:
    """Those of a model that has few are given back, to go with the answer."""
    layers = some(count)
    pieces: list[bytes] = []
    kept = Sender(pieces.append, MOST).deliver(iter(layers))
    assert (kept, bool(pieces)) == ((layers, False) if count <= AT_ONCE else ((), True))
    answer = received(*pieces, wire.encode(wire.Answer(model=model("keras", *kept)))).answer().model
    assert answer is not None
    assert answer.layers == layers


def test_layers_are_sent_as_they_are_made() -> None:
    """Those that wait to be sent are never more than two frames."""
    made, most = 0, 0

    def making() -> object:
        nonlocal made
        for one in some(5 * AT_ONCE):
            made += 1
            yield one

    def send(data: bytes) -> None:
        nonlocal made, most
        if len(data) > 100:
            most, made = max(most, made), made - AT_ONCE

    Sender(send, MOST).deliver(making())
    assert most == 2 * AT_ONCE


def test_no_more_is_sent_or_taken_than_an_answer_may_have() -> None:
    """The sender stops before the frame that is too much; the receiver trusts nobody to."""
    layers = some(2 * AT_ONCE)
    pieces: list[bytes] = []
    Sender(pieces.append, MOST).deliver(layers)
    size = sum(map(len, pieces))
    again: list[bytes] = []
    Sender(again.append, size).deliver(layers)
    assert again == pieces
    again.clear()
    with pytest.raises(LimitExceeded) as error:
        Sender(again.append, size - 1).deliver(layers)
    assert (error.value.info.extra["limit"], again) == ("answer_bytes", pieces[:2])
    received(*pieces, maximum=size)
    with pytest.raises(LimitExceeded):
        received(*pieces, maximum=size - 1)


def test_a_frame_that_announces_too_much_is_not_waited_for() -> None:
    """Its head is enough: none of the 4 GB is kept."""
    received(framed(b"", MOST - 5))
    for announced in (MOST - 4, 2**32 - 1):
        with pytest.raises(LimitExceeded) as error:
            received(framed(b"", announced))
        assert error.value.info.extra == {"limit": "answer_bytes", "maximum": MOST, "value": announced + 5}


ONE = lines(*some(1))


@pytest.mark.parametrize(
    "frame",
    [
        framed(b""), framed(b"[]"), framed(b"\xff"), framed(b"[" * 100_000), framed(b"[" + ONE + b"]"),
        framed(ONE + b"\n"), framed(ONE + ONE), framed(ONE[:-1]), framed(ONE.replace(b'"linear"', b"17")),
        framed(ONE, len(ONE) - 1), framed(ONE.replace(b'"id":', b'"no":')),
    ],
)  # fmt: skip
def test_layers_that_are_none_are_a_crashed_worker(frame: bytes) -> None:
    """At once: whatever follows is not waited for."""
    with pytest.raises(WorkerCrashed):
        received(frame)


@pytest.mark.parametrize(
    "text",
    [
        framed(ONE), framed(ONE) + PROBES, framed(ONE) + wire.encode(wire.Answer(model=model("keras", *some(1)))),
        framed(ONE, 1 << 29) + BARE, BARE + framed(ONE), BARE + progress(1, 2), b"\x03" + BARE, b"\x02\1\0\0\0" + BARE,
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_a_crashed_worker(text: bytes) -> None:
    """Layers without a model, in two places, or cut off; frames behind the answer; marks that are none."""
    with pytest.raises(WorkerCrashed):
        received(text).answer()
