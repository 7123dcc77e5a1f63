"""`python -I -m service.worker`: the warm process of one kind, from its start to its first client.

Started by the supervisor with an empty environment and two inherited descriptors: the socket on which clients
arrive, and one to say that it is warm, and to be let go. It refuses to serve where a layer of the wall is missing,
unless told otherwise. Leaving a layer out, or standing in a module for the readers, is for tests of the wall and
possible only then.
"""

from __future__ import annotations

import argparse
import gc
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from service import wire
from service.worker import confine, kit, proof
from service.worker.zygote import Zygote

REFUSED = 3
"""Exit status: a layer is missing and nobody allowed that."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="service.worker", description=__doc__)
    parser.add_argument("--kind", required=True, choices=("static", "values", "keras", "torch", "transformers"))
    parser.add_argument("--parent", required=True, type=int, help="process that must be alive for this one to live")
    parser.add_argument("--listener", required=True, type=int, help="descriptor of the listening socket")
    parser.add_argument("--control", required=True, type=int, help="descriptor on which to say: warm")
    parser.add_argument("--spares", type=int, default=0, help="children kept waiting")
    parser.add_argument("--allow-unconfined", action="store_true", help="serve even where a layer is missing")
    parser.add_argument("--without", action="append", default=[], choices=confine.LAYERS, help="for tests only")
    parser.add_argument("--test-module", type=Path, help="for tests only: stands in for the readers or the builder")
    found = parser.parse_args()
    if (found.without or found.test_module) and not found.allow_unconfined:
        parser.error("--without and --test-module need --allow-unconfined")
    return found


def main() -> NoReturn:
    """Get warm, prove the wall, serve until killed."""
    given = _arguments()
    confine.die_with(given.parent)
    os.umask(0o077)
    os.chdir("/")
    with _hushed():
        loaded = kit.load(given.kind, given.test_module)
    plan = proof.rehearse(confine.ground(confine.plan_for(given.kind, given.without)), loaded)
    warm = proof.prove(plan, loaded)
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, every page
    with socket.socket(fileno=given.control) as control:
        control.send(wire.encode(warm))
        if not given.allow_unconfined and not proof.holds(warm):
            sys.exit(REFUSED)
        control.recv(1)  # the supervisor closes its end when it has published what we said
    Zygote(socket.socket(fileno=given.listener), plan, loaded, given.spares).serve()


@contextmanager
def _hushed() -> Iterator[None]:
    """No chatter of native libraries on standard error; a traceback that leaves the context is still seen."""
    heard = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(heard, 2)
        os.close(heard)
        os.close(nothing)


if __name__ == "__main__":
    main()
