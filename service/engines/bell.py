"""Wakes those who wait for an analysis that this process finishes; knows identifiers only."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Bell:
    """Events by identifier, kept only while somebody listens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, list[threading.Event]] = {}

    @contextmanager
    def listening(self, identifier: str) -> Iterator[threading.Event]:
        """An event that is set when `identifier` is rung while the context lasts."""
        event = threading.Event()
        with self._lock:
            self._listeners.setdefault(identifier, []).append(event)
        try:
            yield event
        finally:
            with self._lock:
                self._listeners[identifier].remove(event)
                if not self._listeners[identifier]:
                    del self._listeners[identifier]

    def ring(self, identifiers: Iterable[str]) -> None:
        """Wake everybody who listens to any of these."""
        with self._lock:
            for identifier in identifiers:
                for event in self._listeners.get(identifier, ()):
                    event.set()
