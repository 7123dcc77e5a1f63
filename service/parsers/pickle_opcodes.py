"""Every pickle opcode of protocols 0 to 5, run over inert stand-ins; knows the grammar, no name's meaning.

`run` never raises for what is in the stream: whatever stops it early is kept in `Trace.broken`, because a payload
that comes before the break would already have run in a real unpickler.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.pickle_cursor import Cursor
from service.parsers.pickle_machine import Calls, Machine, PersistentHook
from service.parsers.pickle_types import Global, Persistent, Trace
from service.source import Source

Opcode = Callable[[Machine], None]
_OLD_BOOLEANS = {b"00": False, b"01": True}
HIGHEST_PROTOCOL = 5
for _encoding in ("ascii", "latin-1", "raw-unicode-escape"):
    codecs.lookup(_encoding)  # Python imports encodings on first need, and behind the wall that is too late
NO_CALLS: Calls = MappingProxyType({})
_NOT_THERE = msg("The pickle takes something from its stack or memo that is not there.")


def run(
    source: Source, offset: int, limits: Limits, hook: PersistentHook = Persistent, calls: Calls = NO_CALLS
) -> Trace:
    """One pickle from `offset` to its STOP. `hook` makes values of persistent ids, `calls` of some calls."""
    cursor = Cursor(source, offset, limits.pickle_argument_bytes)
    return run_machine(Machine(cursor, limits.pickle_argument_bytes, hook, calls), limits)


def run_machine(machine: Machine, limits: Limits) -> Trace:
    """One pickle from where the machine's cursor stands to its STOP, as `run`."""
    trace = machine.trace
    try:
        _loop(machine, machine.cursor.allowed(limits.pickle_opcodes))
    except InputError as error:
        trace.broken = error
    except (IndexError, KeyError):
        trace.broken = MalformedFile(_NOT_THERE, offset=machine.offset)
    except ValueError as error:
        detail = msg("A pickle argument cannot be decoded: {error}.", error=str(error)[:100])
        trace.broken = MalformedFile(detail, offset=machine.offset)
    machine.close()
    return trace


def _loop(machine: Machine, budget: int) -> None:
    cursor, trace, table = machine.cursor, machine.trace, _TABLE
    for done in range(budget):
        operation = table[cursor.opcode()]
        if operation is None:
            raise MalformedFile(msg("This is not a pickle opcode."), offset=machine.offset)
        operation(machine)
        if machine.stopped:
            trace.opcodes = done + 1
            return
    trace.opcodes = budget
    detail = msg("The pickle has more than {budget} opcodes.", budget=budget)
    raise LimitExceeded("pickle_opcodes", budget, detail, offset=machine.offset)


# Framing and ends


def _proto(machine: Machine) -> None:
    protocol = machine.cursor.number(1)
    if protocol > HIGHEST_PROTOCOL:
        machine.fail(msg("Pickle protocol {protocol} is not known.", protocol=protocol))


def _frame(machine: Machine) -> None:
    machine.cursor.begin_frame(machine.cursor.number(8))


def _stop(machine: Machine) -> None:
    machine.trace.value = machine.stack.pop()
    machine.stopped = True
    if machine.stack or machine.marks:
        what = msg("Values are left on the stack at the end: they were made, and then hidden.")
        machine.odd("pickle_leftovers", what)


# Stack and memo


def _mark(machine: Machine) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


def _pop_mark(machine: Machine) -> None:
    machine.pop_mark()


def _dup(machine: Machine) -> None:
    machine.stack.append(machine.stack[-1])


def _binget(machine: Machine) -> None:
    machine.stack.append(machine.memo[machine.cursor.byte()])


def _binput(machine: Machine) -> None:
    machine.memo[machine.cursor.byte()] = machine.stack[-1]


def _long_binget(machine: Machine) -> None:
    machine.stack.append(machine.memo[machine.cursor.number(4)])


def _long_binput(machine: Machine) -> None:
    machine.memorize(machine.cursor.number(4))


def _get(machine: Machine) -> None:
    machine.stack.append(machine.memo[machine.place()])


def _put(machine: Machine) -> None:
    machine.memorize(machine.place())


def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


# Constants


def _constant(value: Any) -> Opcode:
    def push(machine: Machine) -> None:
        machine.stack.append(value)

    return push


def _maker(make: Callable[[], Any]) -> Opcode:
    def push(machine: Machine) -> None:
        machine.stack.append(make())

    return push


def _unsigned(length: int) -> Opcode:
    def push(machine: Machine) -> None:
        machine.stack.append(machine.cursor.number(length))

    return push


def _binint(machine: Machine) -> None:
    machine.stack.append(machine.integer(4))


def _long1(machine: Machine) -> None:
    machine.stack.append(machine.integer(machine.cursor.number(1)))


def _long4(machine: Machine) -> None:
    machine.stack.append(machine.integer(struct.unpack("<i", machine.cursor.take(4))[0]))


def _int(machine: Machine) -> None:
    line = machine.cursor.line()
    machine.stack.append(_OLD_BOOLEANS[line] if line in _OLD_BOOLEANS else int(line, 0))


def _long(machine: Machine) -> None:
    machine.stack.append(int(machine.cursor.line().rstrip(b"L"), 0))


def _float(machine: Machine) -> None:
    machine.stack.append(float(machine.cursor.line()))


def _binfloat(machine: Machine) -> None:
    machine.stack.append(struct.unpack(">d", machine.cursor.take(8))[0])


# Strings


def _unicode(machine: Machine) -> None:
    machine.stack.append(machine.noted(machine.cursor.line().decode("raw-unicode-escape")))


def _string(machine: Machine) -> None:
    line = machine.cursor.line().strip()
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        machine.fail(msg("A string of the pickle is not quoted."))
    value = codecs.escape_decode(line[1:-1])[0]
    machine.stack.append(machine.noted(_python2_text(value if isinstance(value, bytes) else value.encode())))


def _python2_text(data: bytes) -> str:
    """A Python 2 `str` as text: names are ASCII, other bytes survive as Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _text(length: int) -> Opcode:
    def push(machine: Machine) -> None:
        machine.stack.append(machine.text(machine.cursor.number(length)))

    return push


def _bytes(length: int) -> Opcode:
    def push(machine: Machine) -> None:
        machine.stack.append(machine.data(machine.cursor.number(length)))

    return push


def _old_string(length: int) -> Opcode:
    def push(machine: Machine) -> None:
        value = machine.data(machine.cursor.number(length))
        machine.stack.append(_python2_text(value) if isinstance(value, bytes) else value)

    return push


def _next_buffer(machine: Machine) -> None:
    machine.fail(msg("The pickle wants a buffer from outside the stream."))


def _readonly_buffer(machine: Machine) -> None:
    if not machine.stack:
        raise IndexError


# Containers


def _tuple(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.stack.append(tuple(items))


def _small_tuple(count: int) -> Opcode:
    def push(machine: Machine) -> None:
        stack = machine.stack
        if len(stack) < count:
            raise IndexError
        stack[-count:] = [tuple(stack[-count:])]

    return push


def _list(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.stack.append(items)


def _dict(machine: Machine) -> None:
    items = machine.pop_mark()
    made: dict[Any, Any] = {}
    _set_pairs(machine, made, items)
    machine.stack.append(made)


def _frozenset(machine: Machine) -> None:
    items = machine.pop_mark()
    made = machine.empty_set()
    machine.extend(made, items)
    machine.stack.append(frozenset(made))


def _set_pairs(machine: Machine, target: Any, items: list[Any]) -> None:
    if len(items) % 2:
        machine.fail(msg("A dictionary is given a key without a value."))
    for index in range(0, len(items), 2):
        machine.set_item(target, items[index], items[index + 1])


def _setitem(machine: Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.set_item(machine.stack[-1], key, value)


def _setitems(machine: Machine) -> None:
    items = machine.pop_mark()
    _set_pairs(machine, machine.stack[-1], items)


def _append(machine: Machine) -> None:
    value = machine.stack.pop()
    machine.extend(machine.stack[-1], [value])


def _appends(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.extend(machine.stack[-1], items)


# Names, calls, objects


def _global(machine: Machine) -> None:
    module = machine.cursor.line().decode("utf-8")
    machine.stack.append(machine.name(module, machine.cursor.line().decode("utf-8")))


def _stack_global(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.name(module, name))


def _extension(length: int) -> Opcode:
    def push(machine: Machine) -> None:
        code = machine.cursor.number(length)
        what = msg("Extension code {code} stands for a global that only the loading program knows.", code=code)
        machine.odd("pickle_extension", what)
        machine.stack.append(Global(None, f"extension {code}", machine.offset))

    return push


def _reduce(machine: Machine) -> None:
    args, maker = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.call(maker, args))


def _newobj(machine: Machine) -> None:
    args, maker = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.create(maker, args, None))


def _newobj_ex(machine: Machine) -> None:
    kwargs, args, maker = machine.stack.pop(), machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.create(maker, args, kwargs))


def _inst(machine: Machine) -> None:
    module = machine.cursor.line().decode("ascii")
    maker = machine.name(module, machine.cursor.line().decode("ascii"))
    args = machine.pop_mark()
    machine.stack.append(machine.call(maker, tuple(args)))


def _obj(machine: Machine) -> None:
    args = machine.pop_mark()
    machine.stack.append(machine.call(args[0], tuple(args[1:])))


def _build(machine: Machine) -> None:
    state = machine.stack.pop()
    machine.build(machine.stack[-1], state)


def _persid(machine: Machine) -> None:
    machine.stack.append(machine.look_up(machine.cursor.line().decode("ascii")))


def _binpersid(machine: Machine) -> None:
    machine.stack.append(machine.look_up(machine.stack.pop()))


_OPCODES: dict[bytes, Opcode] = {
    b"\x80": _proto, b"\x95": _frame, b".": _stop,
    b"(": _mark, b"0": _pop, b"1": _pop_mark, b"2": _dup,
    b"h": _binget, b"j": _long_binget, b"q": _binput, b"r": _long_binput, b"g": _get, b"p": _put, b"\x94": _memoize,
    b"N": _constant(None), b"\x88": _constant(True), b"\x89": _constant(False),
    b"K": _unsigned(1), b"M": _unsigned(2), b"J": _binint, b"\x8a": _long1, b"\x8b": _long4,
    b"I": _int, b"L": _long, b"F": _float, b"G": _binfloat,
    b"V": _unicode, b"S": _string, b"X": _text(4), b"\x8c": _text(1), b"\x8d": _text(8),
    b"B": _bytes(4), b"C": _bytes(1), b"\x8e": _bytes(8), b"\x96": _bytes(8), b"T": _old_string(4),
    b"U": _old_string(1),
    b"\x97": _next_buffer, b"\x98": _readonly_buffer,
    b")": _constant(()), b"t": _tuple, b"\x85": _small_tuple(1), b"\x86": _small_tuple(2), b"\x87": _small_tuple(3),
    b"]": _maker(list), b"l": _list, b"}": _maker(dict), b"d": _dict, b"\x8f": Machine.push_set, b"\x91": _frozenset,
    b"s": _setitem, b"u": _setitems, b"a": _append, b"e": _appends, b"\x90": _appends,
    b"c": _global, b"\x93": _stack_global, b"\x82": _extension(1), b"\x83": _extension(2), b"\x84": _extension(4),
    b"R": _reduce, b"\x81": _newobj, b"\x92": _newobj_ex, b"i": _inst, b"o": _obj, b"b": _build,
    b"P": _persid, b"Q": _binpersid,
}  # fmt: skip

_TABLE: list[Opcode | None] = [_OPCODES.get(bytes([code])) for code in range(256)]
