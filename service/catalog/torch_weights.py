"""Tensors into `Weight`s: ties, overlapping views, stored places, storages too small; knows no layer's class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from service.catalog.integrity import listed
from service.catalog.named_arrays import Stored
from service.catalog.named_weights import Ledger, group_of
from service.catalog.torch_dtypes import storage_bytes, stored_bytes
from service.catalog.torch_storage import Storage
from service.catalog.torch_tensors import Tensor
from service.config import Limits
from service.language import Message, msg
from service.plain import text
from service.tree import Danger, Finding, Group, Location, Severity, Source, Weight, element_count

MAX_LISTED = 50
"""Most dangers or findings of one kind listed one by one."""
ABSENT = "data_missing"
REPEATED = "torch_repeated_elements"
_DECLARED_FLOOR = 64 << 20
_DECLARED = 1000
"""More bytes than these, and than so many times what is stored, are no tensor that anybody expanded to use it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a storage's bytes lie and how many there really are; None for what cannot be told."""

    member: str | None
    offset: int | None
    length: int | None


Locate = Callable[[Storage], Place | None]


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of a tensor beside its own description: names, role and who learns it."""

    path: str
    name: str
    role: str
    group: Group
    trainable: bool | None
    source: Source
    layout: str | None = None
    persistent: bool | None = None

    @property
    def key(self) -> str:
        """The full dotted name, as `state_dict()` spells it."""
        return self.name if self.path == "." else f"{self.path}.{self.name}"


class Weigher:
    """Makes the weights of one file, remembering which storage was seen first under which name."""

    def __init__(self, locate: Locate, limits: Limits) -> None:
        self._locate = locate
        self.limits = limits
        self.ledger = Ledger(limits)
        self._seen: set[Hashable] = set()
        self._views: dict[Hashable, list[tuple[int, int, str]]] = defaultdict(list)
        self._absent: list[str] = []
        self._repeated: list[Finding] = []
        self._checked: set[Hashable] = set()
        self.dangers: list[Danger] = []

    def weight(self, tensor: Tensor, label: Label) -> Weight:
        """One weight; a tensor seen before is tied to its first name."""
        self.ledger.count()
        tied = self.ledger.tied(tensor.identity, label.key)
        return Weight(
            name=text(label.name),
            role=label.role,
            shape=tensor.shape,
            dtype=tensor.dtype,
            count=element_count(tensor.shape),
            stored_count=tensor.stored,
            bytes=tensor.bytes,
            group=label.group,
            trainable=label.trainable,
            trainable_source=label.source,
            stored_as=text(label.key),
            layout=label.layout,
            persistent=label.persistent,
            tied_to=None if tied is None else text(tied),
            location=self._location(tensor, label.key),
        )

    def parts(self, tensor: Tensor, label: Label) -> list[Weight]:
        """The scales and zero points of a quantised tensor, which are stored beside it."""
        return [
            self.weight(part, Label(label.path, f"{label.name}.{name}", role, "statistic", False, "rule"))
            for name, role, part in _beside(tensor)
        ]

    def stored(
        self, tensor: Tensor, name: str, prefix: str = "", role: str | None = None, group: Group | None = None
    ) -> list[Stored]:
        """A tensor called `name` in the model at `prefix`, and what is stored beside it, as named arrays.

        `role` and `group` are given where the file itself tells them.
        """
        told = group or ("frozen" if tensor.form == "quantized" and role is None else None)
        return [
            self._stored(tensor, name, prefix, role, told),
            *(self._stored(part, f"{name}.{local}", prefix, what, "statistic")
              for local, what, part in _beside(tensor)),
        ]  # fmt: skip

    def _stored(self, tensor: Tensor, name: str, prefix: str, role: str | None, group: Group | None) -> Stored:
        return Stored(
            name=name, shape=tensor.shape, dtype=tensor.dtype, bytes=tensor.bytes,
            location=self._location(tensor, f"{prefix}.{name}" if prefix else name), identity=tensor.identity,
            stored_count=tensor.stored, role=role, group=group,
        )  # fmt: skip

    def findings(self) -> list[Finding]:
        """Tensors that are not there, that repeat stored elements, or that share bytes without being the same view."""
        found = [*listed(ABSENT, [_gone(key) for key in self._absent]), *listed(REPEATED, self._repeated)]
        return [*found, *self._overlaps()]

    def _overlaps(self) -> list[Finding]:
        found: list[Finding] = []
        for views in self._views.values():
            end, owner = -1, ""
            for start, stop, key in sorted(views):
                if start < end and len(found) < MAX_LISTED:
                    found.append(_overlap(owner, key))
                if stop > end:
                    end, owner = stop, key
        return found

    def _note_view(self, tensor: Tensor, storage: Storage, place: Place | None, key: str) -> None:
        """Remember which elements of a storage a tensor sees: once for all that see the same."""
        if not tensor.extent or tensor.identity in self._seen:
            return
        self._seen.add(tensor.identity)
        end = tensor.offset + tensor.extent
        self._views[storage.key].append((tensor.offset, end, key))
        needed = stored_bytes(tensor.dtype, end)
        if place is None or (needed is not None and place.length is not None and needed > place.length):
            self._absent.append(key)
        if tensor.stored is not None:
            self._repeated.append(_repeats(tensor, key))

    def _location(self, tensor: Tensor, key: str) -> Location | None:
        storage = tensor.storage
        if storage is None:
            return None
        place = self._locate(storage)
        self._note_view(tensor, storage, place, key)
        self._check(tensor, storage, place, key)
        if place is None or place.offset is None:
            return None
        start = stored_bytes(tensor.dtype, tensor.offset)
        length = stored_bytes(tensor.dtype, tensor.extent)
        return Location(
            member=place.member,
            offset=None if start is None else place.offset + start,
            length=length,
            strides=_odd_strides(tensor),
        )

    def _check(self, tensor: Tensor, storage: Storage, place: Place | None, key: str) -> None:
        """Dangers: a storage that is not what the pickle says, a view beyond its storage."""
        if storage.key not in self._checked:
            self._checked.add(storage.key)
            self._check_storage(storage, place, key)
        if storage.count is None or not tensor.extent:
            return
        there = storage_bytes(storage.dtype, storage.count)
        needed = stored_bytes(tensor.dtype, tensor.offset + tensor.extent)
        if there is not None and needed is not None and needed > there:
            self._danger(
                "storage_overrun", "high", msg("The tensor reaches beyond the end of its storage."), key, place
            )

    def _check_storage(self, storage: Storage, place: Place | None, key: str) -> None:
        declared = storage_bytes(storage.dtype, storage.count)
        if place is None:
            self._danger("storage_missing", "medium", msg("The tensor's data is not in the file."), key, None)
        elif declared is not None and place.length is not None and declared != place.length:
            what = msg(
                "The tensor's storage is declared with {declared} bytes, but {length} are there.",
                declared=declared,
                length=place.length,
            )
            self._danger("storage_size_mismatch", "high", what, key, place)

    def _danger(self, code: str, severity: Severity, what: Message, key: str, place: Place | None) -> None:
        if sum(danger.code == code for danger in self.dangers) < MAX_LISTED:
            self.dangers.append(
                Danger(
                    code=code,
                    severity=severity,
                    what=what,
                    path=text(key),
                    member=place.member if place else None,
                    offset=place.offset if place else None,
                    reference="CVE-2026-24747",
                )
            )


def _odd_strides(tensor: Tensor) -> tuple[int, ...] | None:
    """The strides of a tensor that is not stored in C order; those of axes of one element do not matter."""
    step = 1
    for size, stride in zip(reversed(tensor.shape or ()), reversed(tensor.stride or ()), strict=False):
        if size > 1 and stride != step:
            return tensor.stride
        step *= size
    return None


def _gone(key: str) -> Finding:
    return Finding(rule=ABSENT, severity="high", path=text(key),
                   what=msg("{name} is not, or not wholly, in the file.", name=text(key, 200)))  # fmt: skip


def _repeats(tensor: Tensor, key: str) -> Finding:
    """A view whose elements are not one stored element each: as `expand` makes them, or a shape that says too much."""
    declared = stored_bytes(tensor.dtype, tensor.count) or 0
    absurd = declared > _DECLARED_FLOOR and declared > _DECLARED * (tensor.bytes or 0)
    return Finding(
        rule=REPEATED,
        severity="high" if absurd else "low",
        path=text(key),
        what=msg("{name} has {count} elements, but only {stored} are stored: its strides repeat them.",
                 name=text(key, 200), count=tensor.count, stored=tensor.stored),
        why=msg("PyTorch saves what expand() made like this. It is counted by its shape; a copy takes up all of that."),
    )  # fmt: skip


def _overlap(owner: str, key: str) -> Finding:
    return Finding(
        rule="torch_overlapping_views",
        severity="info",
        path=text(key),
        what=msg(
            "{key} and {owner} are different views of the same stored bytes.",
            key=text(key, 200),
            owner=text(owner, 200),
        ),
        why=msg("Changing one in place changes the other. They are counted one by one, not as tied."),
    )


def _beside(tensor: Tensor) -> list[tuple[str, str, Tensor]]:
    """(name, role, tensor) of what belongs to a quantised tensor."""
    if tensor.form != "quantized":
        return []
    return [(name, "quant_scale" if name == "scales" else "zero_point", part) for name, part in tensor.parts]


def rule_group(tensor: Tensor, role: str) -> tuple[Group, bool | None, Source]:
    """`group_of` a tensor; a quantised one is frozen, whatever it is made of."""
    found = group_of(role, tensor.dtype)
    return found if found[0] == "statistic" or tensor.form != "quantized" else ("frozen", False, "rule")
