"""What every answer says to browsers and caches, also those that gunicorn makes itself. Knows names and values."""

from __future__ import annotations

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Set unless the answer has its own. Nothing is guessed, framed, embedded or kept that was not meant to be."""
TRANSPORT = {"Strict-Transport-Security": "max-age=31536000"}
"""Where the request came over TLS."""
