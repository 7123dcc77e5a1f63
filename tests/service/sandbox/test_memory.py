"""How often the kernel has killed for want of memory."""

from __future__ import annotations

import pytest

from service.sandbox import memory


def test_this_kernel_counts():
    """As a number that does not shrink."""
    first = memory.kernel_kills()
    assert first is not None
    assert memory.kernel_kills() >= first


@pytest.mark.parametrize(
    ("text", "expected"), [("a 1\noom_kill 17\nb 2\n", 17), ("oom_kill_x 3\n", None), ("", None), (None, None)]
)
def test_what_the_kernel_says_is_read(tmp_path, monkeypatch, text, expected):
    """And None where it says nothing."""
    file = tmp_path / "vmstat"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(memory, "VMSTAT", file)
    assert memory.kernel_kills() == expected
