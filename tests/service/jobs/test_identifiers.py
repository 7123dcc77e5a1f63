"""What a name of an analysis must be."""

from __future__ import annotations

import uuid

from service.jobs.identifiers import is_id, new_id


def test_ids_are_version_7_uuids_that_sort_by_time():
    """A thousand made in a row are different, valid, and in order apart from the same quarter microsecond."""
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(uuid.UUID(item).version == 7 and uuid.UUID(item).variant == uuid.RFC_4122 for item in made)
    assert [item[:18] for item in made] == sorted(item[:18] for item in made)


def test_only_ids_made_here_are_ids():
    """Other versions, upper case, traversal and trailing newlines are not."""
    assert is_id(new_id())
    for text in ("", "x", str(uuid.uuid4()), new_id().upper(), new_id() + "\n", "../../etc/passwd", new_id()[:-1]):
        assert not is_id(text)
