"""What a client gets of an answer that is kept in memory."""

from __future__ import annotations

from service.kept import Body


def taken(body: Body) -> bytes:
    """All of its pieces, which are as long as it says."""
    parts, size = body.pieces()
    found = b"".join(parts)
    assert len(found) == size
    return found
