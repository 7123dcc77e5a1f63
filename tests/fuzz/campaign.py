"""Makes inputs, has them read behind the wall, keeps those answered in a new way, and collects what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from service import wire
from service.config import Limits, Settings
from service.errors import WeighbridgeError, WorkerOutOfMemory, WorkerTimeout
from service.jobs.sealing import sealed
from service.sandbox.client import Sandbox
from service.sandbox.launch import running
from tests.fuzz import bytewise
from tests.fuzz.finding import ORDERS, Finding, Named, Order, Work
from tests.fuzz.seeds import Parts
from tests.fuzz.structured import Draw, changed

KIND = "values"
LIMITS = Limits(seconds=60.0)
MOST_SECONDS = 2.0
"""Processor time that no input of up to a megabyte may take. The deadline is far beyond it, for a busy machine."""
MOST_BYTES = 500 << 20
"""Memory that no such input may take."""
AT_ONCE = 10
"""Inputs that one child does: making a child takes longer than reading a small file."""
WORKS: tuple[Work, ...] = ("read", "measure", "lie", "compare", "view")
_OFTEN = (12, 3, 3, 1, 1)
_MOST_KEPT = 400
"""Inputs of one format that are kept to change further."""


class Input(NamedTuple):
    """One upload, and what is done with it."""

    parts: Parts
    order: Order


@contextmanager
def wall(folder: Path) -> Iterator[Sandbox]:
    """A warm process whose children read as the real ones do and tell what came of it, behind every layer."""
    settings = Settings(allow_unconfined=True, warm_values=True)
    module = Path(__file__).with_name("inside.py")
    with running(settings, folder, [KIND], worker_arguments=["--test-module", str(module)]) as sandbox:
        yield sandbox


def tried(sandbox: Sandbox, given: Sequence[Input]) -> list[Finding]:
    """What came of each input: one child does them all, or each has its own where that one does not come back."""
    found = _in_one_child(sandbox, given)
    if len(given) == 1:
        return found
    if len(found) != len(given) or found[0].peak > MOST_BYTES:
        return [_in_one_child(sandbox, [one])[0] for one in given]
    return found


def _in_one_child(sandbox: Sandbox, given: Sequence[Input]) -> list[Finding]:
    orders = [Named(one.order, tuple(one.parts)) for one in given]
    contents = [msgspec.json.encode(orders), *(content for one in given for content in one.parts.values())]
    names = (ORDERS, *map(str, range(len(contents) - 1)))
    with ExitStack() as stack:
        descriptors = [stack.enter_context(sealed([content])) for content in contents]
        try:
            outcome = sandbox.run(KIND, wire.Task(work="read", parts=names, limits=LIMITS), descriptors)
        except WorkerTimeout:
            return [Finding(how="time")]
        except WorkerOutOfMemory:
            return [Finding(how="memory")]
        except WeighbridgeError as error:
            return [Finding(how="crash", code=str(next(iter(error.info.extra.values()), error.info.code)))]
    if outcome.answer.model is None:
        return [Finding(how="crash", code="no answer")]
    found = msgspec.json.decode(str(outcome.answer.model.notes[0]), type=list[Finding])
    return [msgspec.structs.replace(one, peak=outcome.peak_memory_bytes) for one in found]


def complaint(found: Finding) -> str:
    """What is wrong with a finding, in a line; empty where nothing is."""
    if found.how == "bug":
        return f"{found.code} at {' '.join(found.marks)}"
    if found.how in ("time", "memory", "crash"):
        return f"{found.how} {found.code}"
    if found.seconds > MOST_SECONDS:
        return f"slow: over {MOST_SECONDS:g} s, {_where(found)}"
    if found.peak > MOST_BYTES:
        return f"large: over {MOST_BYTES >> 20} MiB, {_where(found)}"
    return ""


def _where(found: Finding) -> str:
    return f"{found.how} {found.code} {' '.join(found.marks[:3])}"


class Campaign:
    """Rounds over the formats; each round changes one input of each. What it does depends on `seed` alone."""

    def __init__(self, sandbox: Sandbox, seeds: Mapping[str, Sequence[Parts]], seed: int) -> None:
        self._sandbox = sandbox
        self._random = Random(seed)  # noqa: S311 - repeatable, not secret
        self._kept: dict[str, list[Parts]] = {name: list(given) for name, given in seeds.items()}
        self._words = {name: _words(given) for name, given in seeds.items()}
        self._seen: set[tuple[str, ...]] = set()
        self.tried = 0
        self.wrong: dict[str, tuple[str, Input, Finding]] = {}
        self.slowest: tuple[float, str] = (0.0, "")
        self.largest: tuple[int, str] = (0, "")
        self.outcomes: dict[str, dict[str, int]] = {name: {} for name in seeds}

    @property
    def ways(self) -> int:
        """In how many ways inputs have been answered or refused so far."""
        return len(self._seen)

    def run(self, enough: Callable[[], bool]) -> None:
        """Round after round until it is enough."""
        while not enough():
            made = [(name, self._made(name)) for name in self._kept]
            for some in _batches(made):
                if enough():
                    return
                for (name, given), found in zip(some, tried(self._sandbox, [one for _, one in some]), strict=True):
                    self._learn(name, given, found)

    def _learn(self, name: str, given: Input, found: Finding) -> None:
        self.tried += 1
        self._note(name, found)
        if wrong := complaint(found):
            self.wrong.setdefault(wrong, (name, given, found))
        if (name, *found.signature) not in self._seen:
            self._seen.add((name, *found.signature))
            if found.how in ("answered", "refused"):
                self._keep(name, given.parts)

    def _note(self, name: str, found: Finding) -> None:
        counts = self.outcomes[name]
        counts[found.how] = counts.get(found.how, 0) + 1
        self.slowest = max(self.slowest, (found.seconds, name))
        self.largest = max(self.largest, (found.peak, name))

    def _keep(self, name: str, parts: Parts) -> None:
        kept = self._kept[name]
        if len(kept) >= _MOST_KEPT:
            kept[self._random.randrange(len(kept) // 4, len(kept))] = parts
        else:
            kept.append(parts)

    def _made(self, name: str) -> Input:
        random = self._random
        kept = self._kept[name]
        parts = dict(random.choice(kept))
        other = random.choice(list(random.choice(kept).values()))
        for _ in range(random.choice((1, 1, 1, 2))):
            _change(parts, Draw(random, self._words[name], other))
        work = random.choices(WORKS, _OFTEN)[0]
        return Input(parts, Order(work, random.randrange(2**32)))


def _batches(made: Sequence[tuple[str, Input]]) -> Iterator[list[tuple[str, Input]]]:
    """A few at a time, with no more files than may cross the wall at once."""
    some: list[tuple[str, Input]] = []
    files = 0
    for name, given in made:
        if some and (len(some) == AT_ONCE or files + len(given.parts) >= wire.MAX_FILES):
            yield some
            some, files = [], 0
        some.append((name, given))
        files += len(given.parts)
    yield some


def _change(parts: dict[str, bytes], draw: Draw) -> None:
    random = draw.random
    name = random.choice(list(parts))
    how = random.random()
    if len(parts) > 1 and how < 0.05:
        del parts[name]
    elif len(parts) > 1 and how < 0.1:
        parts[random.choice(list(parts))] = parts[name]
    elif len(parts) > 1 and how < 0.13:
        parts[random.choice(("x", "../x", name.upper(), f"a/{name}"))] = parts.pop(name)
    else:
        parts[name] = changed(parts[name], draw)


def _words(given: Sequence[Parts]) -> tuple[bytes, ...]:
    return bytewise.dictionary([content for parts in given for content in parts.values()])


def together(campaigns: Sequence[Campaign], enough: Callable[[], bool]) -> None:
    """Run several at once, each in a thread of its own."""
    threads = [threading.Thread(target=one.run, args=(enough,)) for one in campaigns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
