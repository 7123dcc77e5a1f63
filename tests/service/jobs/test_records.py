"""When two analyses must give the same report."""

from __future__ import annotations

from service.jobs.records import Part, result_key


def part(name, digest="a"):
    return Part(name=name, bytes=1, blake3=digest)


def test_one_file_s_name_does_not_matter_but_its_content_and_the_version_do():
    """A single file is known by its content alone."""
    key = result_key((part("x"),), "1")
    assert key == result_key((part("y"),), "1")
    assert key != result_key((part("x", "b"),), "1")
    assert key != result_key((part("x"),), "2")
    assert key != result_key((part("x"),), "1", values=True)


def test_names_matter_where_files_refer_to_one_another():
    """Two files with swapped names are another model."""
    assert result_key((part("x", "a"), part("y", "b")), "1") != result_key((part("y", "a"), part("x", "b")), "1")
