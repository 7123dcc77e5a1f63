"""A process to be reached: it holds a secret and another's upload, and waits. Tests start it: `python victim.py`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys


def main() -> None:
    """Tell where the secret lies and under which number the upload is open; then wait for the end."""
    secret = ctypes.create_string_buffer(os.environ["SECRET"].encode())
    held = os.open(sys.argv[1], os.O_RDONLY)
    sys.stdout.write(f"{ctypes.addressof(secret)} {held}\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
