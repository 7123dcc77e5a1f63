"""The container's health check: exit 0 when the service on $PORT says that its workers are warm."""  # noqa: INP001 - a script

from __future__ import annotations

import http.client
import os
import sys


def main() -> int:
    """0 if `/readyz` answers 200 within five seconds, else 1."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8000")), timeout=5)
    try:
        connection.request("GET", "/readyz")
        return int(connection.getresponse().status != http.client.OK)
    except OSError:
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
