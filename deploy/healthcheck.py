"""The container's health check: exit 0 when the service says that its workers are warm, where it says so."""  # noqa: INP001 - a script

from __future__ import annotations

import http.client
import os
import sys


def main() -> int:
    """0 if `/readyz` answers 200 within five seconds, else 1."""
    connection = http.client.HTTPConnection(*_where(), timeout=5)
    try:
        connection.request("GET", "/readyz")
        return int(connection.getresponse().status != http.client.OK)
    except OSError:
        return 1
    finally:
        connection.close()


def _where() -> tuple[str, int]:
    """Host and port of `/readyz`: those for monitoring, if there are any."""
    host, _, port = os.environ.get("WEIGHBRIDGE_ADMIN_BIND", "").rpartition(":")
    if not port:
        return "127.0.0.1", int(os.environ.get("PORT", "8000"))
    host = host.strip("[]")
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host, int(port)  # noqa: S104 - asked from inside


if __name__ == "__main__":
    sys.exit(main())
