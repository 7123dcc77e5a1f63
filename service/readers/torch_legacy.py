"""PyTorch's stream files (torch.save before 1.6): five pickles, then every storage, skipped by its size."""

from __future__ import annotations

from collections.abc import Mapping

from service.catalog.torch_dangers import dangers_of, trailing
from service.catalog.torch_model import Description, describe_saved
from service.catalog.torch_report import build
from service.catalog.torch_stream import MAGIC_BYTES, PROTOCOL, Stream, open_stream, places
from service.catalog.torch_values import describe, mapping_of
from service.catalog.torch_weights import Place, Weigher
from service.errors import MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.source import head
from service.tree import Danger, Model, ModelInfo

FORMAT = Format(
    id="torch_legacy",
    framework="torch",
    title=msg("PyTorch file (torch.save before 1.6)"),
    extensions=(".pt", ".pth", ".bin", ".tar", ".t7"),
    reads=msg("state_dicts, training checkpoints and whole pickled modules, as the zip format of later versions"),
    leaves=msg("the weights' values, unless statistics or a comparison of values ask for them"),
    priority=60,
)


def accept(upload: Upload) -> bool:
    """A pickle of the magic number at the start."""
    source = upload.single
    return source is not None and MAGIC_BYTES in head(source, 64)


def read(upload: Upload) -> Model:
    """The model inside.

    Raises:
        MalformedFile: A pickle is broken or is not what should be in its place.
        TruncatedFile: The file ends before its last storage does.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A PyTorch file is a single file."))
    limits = upload.limits
    stream = open_stream(source, limits)
    dangers = [danger for trace in stream.traces for danger in dangers_of(trace, source, limits, None)]
    lying: dict[str, Place] = {}
    weigher = Weigher(lambda storage: lying.get(str(storage.key)), limits)

    def look() -> tuple[Description, list[Danger]]:
        lying.update(places(source, stream))
        dangers.extend(trailing(source, _end(stream, lying), limits, None))
        return describe_saved(stream.saved, weigher, limits), weigher.dangers

    return build(_info(stream), stream.broken, dangers, look)


def _end(stream: Stream, lying: Mapping[str, Place]) -> int:
    """Where the last storage ends, or the last pickle where there is none."""
    return max((_behind(place) for place in lying.values()), default=stream.traces[-1].end)


def _behind(place: Place) -> int:
    return (place.offset or 0) + (place.length or 0)


def _info(stream: Stream) -> ModelInfo:
    system = mapping_of(stream.system)
    return ModelInfo(
        format=FORMAT.id,
        framework=FORMAT.framework,
        format_version=str(PROTOCOL),
        tags={"system": describe(system)} if system else {},
    )
