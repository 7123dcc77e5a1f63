"""What is pressed comes back, at once and in pieces, of older stores too."""

from __future__ import annotations

import gzip

import pytest

from service.pressed import is_whole, press, unpress, unpressed

TEXTS = (b"", b"a", b"ab" * 3_000_000)


MAKERS = [lambda data: press([data]), lambda data: press([data[:7], b"", data[7:]]), gzip.compress]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("text", TEXTS)
def test_what_was_pressed_comes_back(make, text):
    """However it was pressed and is asked for; gzip is what stores held before."""
    pressed = make(text)
    assert unpress(pressed, len(text)) == text
    pieces = list(unpressed(pressed))
    assert b"".join(pieces) == text
    assert all(len(piece) <= 1 << 20 for piece in pieces)


@pytest.mark.parametrize("make", MAKERS)
def test_what_lost_a_piece_is_not_whole(make):
    """Cut, changed, of another size, or never pressed at all."""
    pressed = make(TEXTS[2])
    assert is_whole(pressed, len(TEXTS[2]))
    for other in (pressed[:-1], pressed[:3], b"", b"no frame", bytes([*pressed[:2], 255, *pressed[3:]])):
        assert not is_whole(other, len(TEXTS[2]))
    assert not is_whole(pressed, len(TEXTS[2]) - 1)


def test_equal_data_give_equal_frames():
    """An answer that is stored again is the same row, whatever pieces it came in."""
    assert press([TEXTS[2]]) == press([TEXTS[2]])
    assert press([TEXTS[2]]) == press([TEXTS[2][:999_999], TEXTS[2][999_999:]])
    assert len(press([TEXTS[2]])) < 2000
