"""When two analyses must give the same report."""

from __future__ import annotations

from service.jobs.records import Analysis, ComparisonJob, Options, Part, comparison_key, result_key


def part(name, digest="a"):
    return Part(name=name, bytes=1, blake3=digest)


def test_one_file_s_name_does_not_matter_but_its_content_and_the_version_do():
    """A single file is known by its content alone."""
    key = result_key((part("x"),), "1")
    assert key == result_key((part("y"),), "1")
    assert key != result_key((part("x", "b"),), "1")
    assert key != result_key((part("x"),), "2")
    assert key != result_key((part("x"),), "1", Options(stats=True))


def test_names_matter_where_files_refer_to_one_another():
    """Two files with swapped names are another model."""
    assert result_key((part("x", "a"), part("y", "b")), "1") != result_key((part("y", "a"), part("x", "b")), "1")


def test_accounts_share_no_answer():
    """Nor an account and nobody; keys that were stored before there were accounts are those of nobody."""
    keys = [result_key((part("x", "a" * 64),), "1", account=account) for account in ("", "ann", "bob")]
    assert len(set(keys)) == 3
    assert keys[0] == "999c6c647110078ebbeac6a83dc7d32089346e00240b7d8d65c102182baca570"
    sides = analysis("l"), analysis("r")
    compared = {comparison_key(*sides, "1", values=False, account=account) for account in ("", "ann", "bob")}
    assert len(compared) == 3


def analysis(key="k", **fields):
    return Analysis(id="1", state="queued", created_at=0.0, name="n", bytes=1, key=key, **fields)


def test_sides_and_values_make_comparisons_different():
    """The same two contents, in this order, asked the same question, have one answer."""
    left, right = analysis("l"), analysis("r")
    key = comparison_key(left, right, "1", values=False)
    assert key == comparison_key(analysis("l"), analysis("r"), "1", values=False)
    others = [
        comparison_key(right, left, "1", values=False),
        comparison_key(left, right, "1", values=True),
        comparison_key(left, right, "2", values=False),
    ]
    assert key not in others


def test_reading_values_is_apart_from_short_work():
    """Statistics and numbers go to their own threads."""
    assert (analysis().work, analysis().lane) == ("read", "quick")
    measured = analysis(options=Options(stats=True))
    assert (measured.work, measured.lane) == ("measure", "values")
    job = ComparisonJob(id="1", state="running", created_at=0.0, left_id="2", right_id="3")
    assert (job.work, job.lane, job.final) == ("compare", "quick", False)
    assert (
        ComparisonJob(id="1", state="failed", created_at=0.0, left_id="2", right_id="3", values=True).lane == "values"
    )
