"""Opens the values of an upload's weights where its report says they lie; knows which storage each format uses.

The report is not believed: it names a place, and that place is found again in the upload and checked.
"""

from __future__ import annotations

from math import prod

from service.errors import InputError
from service.formats import Upload
from service.language import msg
from service.parsers.hdf5 import Dataset, Group, read_hdf5
from service.parsers.hdf5_pages import Pages, find_hdf5, open_pages
from service.source import Source
from service.tree import Layer, Location, Model, Report, Shape, Weight
from service.values.base import Index, Stored, Values, ValuesUnavailable, WeightValues
from service.values.blocks import blocks, is_blocks
from service.values.blocks import element as numbers_of_blocks
from service.values.containers import Container
from service.values.datasets import dataset
from service.values.elements import Element, element_of
from service.values.packed import Nibbles
from service.values.pieces import is_flax, joined
from service.values.strided import strided


def open_values(upload: Upload, described: Model | Report) -> Values:
    """The values of the weights of `described`, which is the model or report made from `upload`."""
    info = described.info if isinstance(described, Model) else described.model
    container = Container(upload)
    if info.format == SEVERAL:
        return MixedValues(upload, container)
    return DatasetValues(upload, container) if info.format in _HDF5 else StorageValues(upload, container)


SEVERAL = "several"
"""The format of an upload that holds models of more than one."""
_HDF5 = frozenset({"keras_v3", "keras_h5", "keras_weights_h5"})
"""Formats that keep each weight as a dataset of an HDF5 file."""
_MOST_AXES = 63
"""NumPy knows 64, of which one is needed to unpack."""
_NO_PLACE = msg(
    "Its values do not lie in the upload as one plain array: they are in a file that was not sent or is cut off,"
    " packed, compressed, in several pieces, or the file does not tell where."
)


class MixedValues:
    """Values of several models in one upload: each is read as the file is stored that its place names."""

    def __init__(self, upload: Upload, container: Container) -> None:
        self._container = container
        self._datasets = DatasetValues(upload, container)
        self._storages = StorageValues(upload, container)
        self._kinds: dict[str | None, bool] = {}

    def of(self, layer: Layer, weight: Weight) -> WeightValues:
        """See `Values.of`."""
        place = weight.location
        values: Values = self._datasets if place is not None and self._is_hdf5(place.member) else self._storages
        return values.of(layer, weight)

    def _is_hdf5(self, member: str | None) -> bool:
        if member not in self._kinds:
            self._kinds[member] = find_hdf5(self._container.open(member)) is not None
        return self._kinds[member]


class StorageValues:
    """Values that lie raw at places of a file, of a member of an archive, or of one of several files."""

    def __init__(self, upload: Upload, container: Container) -> None:
        self._meter = upload.meter
        self._container = container

    def of(self, _layer: Layer, weight: Weight) -> WeightValues:
        """See `Values.of`."""
        place = weight.location
        if is_blocks(weight.dtype) and place is not None and place.offset is not None:
            held = blocks(self._container.open(place.member), place.offset, weight.dtype or "", _fixed(weight.shape))
            return WeightValues(held, numbers_of_blocks(), self._meter, held.bytes)
        element, shape = _described(weight)
        if place is None or place.offset is None:
            raise ValuesUnavailable(_NO_PLACE)
        source = self._container.open(place.member)
        big = self._container.is_big_endian(place.member)
        whole = prod(shape) * element.code.itemsize
        if place.strides is None and place.length is not None and place.length < whole:
            packed = _packed(source, place.offset, place.length, shape, element)
            return WeightValues(packed, element, self._meter)
        if place.strides is None and place.length is not None and place.length > whole and is_flax(source):
            pieces = joined(source, place.offset, place.length, whole, element.name)
            return WeightValues(strided(pieces, 0, shape, None, element), element, self._meter)
        return WeightValues(strided(source, place.offset, shape, place.strides, element, big=big), element, self._meter)


def _packed(source: Source, offset: int, length: int, shape: Index, element: Element) -> Stored:
    """Two whole numbers of 4 bits in each byte, the first in the low bits, as ONNX, OpenVINO and TFLite store them."""
    bytes_ = element_of("uint8")
    if bytes_ is None or not shape or shape[-1] % 2 or 2 * length != prod(shape):
        raise ValuesUnavailable(msg("The values are packed in a way that is not read."))
    halved = strided(source, offset, (*shape[:-1], shape[-1] // 2), None, bytes_)
    return Nibbles.over(halved, shape, element)


class DatasetValues:
    """Values that are datasets of HDF5 files, as Keras keeps them: one file, a member of an archive, or shards."""

    def __init__(self, upload: Upload, container: Container) -> None:
        self._upload = upload
        self._container = container
        self._files: dict[str | None, tuple[_File, ...]] = {}

    def of(self, _layer: Layer, weight: Weight) -> WeightValues:
        """See `Values.of`."""
        element, shape = _described(weight)
        if weight.stored_as is None or weight.location is None:
            raise ValuesUnavailable(_NO_PLACE)
        stored = self._dataset(weight.location, weight.stored_as, element)
        if weight.stored_count is not None:
            stored = Nibbles.over(stored, shape, element)
        if stored.shape != shape:
            raise ValuesUnavailable(msg("The dataset has another shape than the report says."))
        return WeightValues(stored, element, self._upload.meter)

    def _dataset(self, location: Location, path: str, element: Element) -> Stored:
        for file in self._open(location.member):
            header = file.headers.get(path)
            if header is not None:
                return dataset(file.pages, file.source, header, element)
        raise ValuesUnavailable(msg("The file has no dataset {path}, or several of that name.", path=path))

    def _open(self, member: str | None) -> tuple[_File, ...]:
        if member not in self._files:
            self._files[member] = tuple(_File(source) for source in self._sources(member))
        return self._files[member]

    def _sources(self, member: str | None) -> list[Source]:
        parts = self._upload.parts
        if member is not None or len(parts) == 1:
            return [self._container.open(member)]
        return [parts[name] for name in sorted(parts) if find_hdf5(parts[name]) is not None]


class _File:
    """One HDF5 file: where each dataset's header is, by its path as reports give it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.pages: Pages = open_pages(source)[0]
        self.headers: dict[str, int] = {}
        doubled: set[str] = set()
        for found in _datasets(read_hdf5(source).root):
            if self.headers.setdefault(found.path, found.header) != found.header:
                doubled.add(found.path)
        for path in doubled:
            del self.headers[path]


def _datasets(root: Group) -> list[Dataset]:
    found: list[Dataset] = []
    open_groups = [root]
    while open_groups:
        for child in open_groups.pop().children.values():
            if isinstance(child, Group):
                open_groups.append(child)
            else:
                found.append(child)
    return found


def _described(weight: Weight) -> tuple[Element, Index]:
    """Element type and shape of a weight; ValuesUnavailable where they are not known or not read."""
    if weight.dtype is None:
        raise ValuesUnavailable(msg("The type of its values is not known."))
    element = element_of(weight.dtype)
    if element is None:
        raise ValuesUnavailable(msg("Values of the type {dtype} are not read.", dtype=weight.dtype))
    return element, _fixed(weight.shape)


def _fixed(shape: Shape | None) -> Index:
    sizes = tuple(size for size in shape or () if size is not None)
    if shape is None or len(sizes) != len(shape):
        raise ValuesUnavailable(msg("Its shape is not known."))
    if len(sizes) > _MOST_AXES:
        raise ValuesUnavailable(msg("It has {n} axes; {most} are read at most.", n=len(sizes), most=_MOST_AXES))
    return sizes


def reason_of(error: InputError) -> ValuesUnavailable:
    """An error met while values were read, as the reason why there are none."""
    return ValuesUnavailable(msg("They could not be read: {why}", why=error.info.detail))
