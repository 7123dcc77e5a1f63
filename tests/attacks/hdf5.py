"""Attacks by HDF5 files: rows H1 to H9 of the threat catalogue."""

from __future__ import annotations

import io
import random
from typing import Any

import h5py
import numpy as np

from tests.attacks.frame import Attacks, Trap, harmless, named, refused
from tests.attacks.keras_files import hdf5, weights

ATTACKS = Attacks()
CVE = "CVE-2026-1669"


@ATTACKS("H1-01", source=CVE, expects=named("hdf5_external_link", "high", "layers/dense/vars/1"))
def external_link(trap: Trap) -> bytes:
    """A weight is a link into another file."""

    def write(file: Any) -> None:
        del file["layers/dense/vars/1"]
        file["layers/dense/vars/1"] = h5py.ExternalLink(str(trap.secret), "/x")

    return weights(write)


@ATTACKS("H1-02", source=CVE, expects=named("hdf5_external_link", "high", "layers/other"))
def external_link_as_group(trap: Trap) -> bytes:
    """A whole layer is a link into another file."""
    return weights(lambda file: file.__setitem__("layers/other", h5py.ExternalLink("../../secret.txt", "/")))


@ATTACKS(
    "H1-03",
    source="https://docs.h5py.org/en/stable/high/group.html",
    expects=named("hdf5_soft_link", "medium", "layers/loop"),
)
def soft_link_to_its_own_parent(trap: Trap) -> bytes:
    """Whoever follows it never ends."""
    return weights(lambda file: file.__setitem__("layers/loop", h5py.SoftLink("/layers")))


@ATTACKS("H1-04", source="https://docs.h5py.org/en/stable/high/group.html", expects=named("hdf5_soft_link", "medium"))
def soft_links_in_a_ring(trap: Trap) -> bytes:
    """Two that point at each other."""

    def write(file: Any) -> None:
        file["layers/a"], file["layers/b"] = h5py.SoftLink("/layers/b"), h5py.SoftLink("/layers/a")

    return weights(write)


@ATTACKS("H2-01", source=CVE, expects=named("hdf5_external_storage", "high", "layers/dense/vars/1"))
def external_storage(trap: Trap) -> bytes:
    """A weight's bytes are those of a file of the host."""

    def write(file: Any) -> None:
        del file["layers/dense/vars/1"]
        file.create_dataset("layers/dense/vars/1", (3,), "f4", external=[(str(trap.secret), 0, 12)])

    return weights(write)


@ATTACKS("H2-02", source=CVE, expects=named("hdf5_external_storage", "high"))
def external_storage_of_many_files(trap: Trap) -> bytes:
    """From several files, device files among them."""
    places = [(str(trap.secret), 0, 4), ("/dev/zero", 0, 4), ("/proc/self/environ", 0, 4)]
    return weights(lambda file: file.create_dataset("layers/dense/vars/2", (3,), "f4", external=places))


@ATTACKS("H3-01", source=CVE, expects=named("hdf5_virtual_dataset", "high", "layers/dense/vars/2"))
def virtual_dataset(trap: Trap) -> bytes:
    """A weight is put together from other files."""

    def write(file: Any) -> None:
        layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
        layout[:] = h5py.VirtualSource(str(trap.secret), "x", shape=(4,))
        file.create_virtual_dataset("layers/dense/vars/2", layout)

    return weights(write)


def mutant(number: int, seed: int, share: float, code: str) -> None:
    """The honest file with some of its bytes changed, as in the library's own reproducers."""

    def make(_trap: Trap) -> bytes:
        data = bytearray(weights())
        chosen = random.Random(seed)  # noqa: S311
        for _ in range(max(1, int(len(data) * share))):
            data[chosen.randrange(8, len(data))] = chosen.randrange(256)
        return bytes(data)

    ATTACKS.add(
        f"H4-{number:02}",
        f"damaged_{seed}",
        "Bytes of the structure are changed: the library itself crashed on such files.",
        "https://github.com/HDFGroup/hdf5/blob/develop/CVE_list.md",
        make,
        refused(code),
    )


mutant(1, 2, 0.2, "truncated_file")
mutant(2, 3, 0.4, "unsupported_feature")
mutant(3, 4, 0.02, "malformed_file")


@ATTACKS("H5-01", source="https://github.com/HDFGroup/hdf5", expects=refused("limit_exceeded", "hdf5_depth"))
def groups_three_hundred_deep(trap: Trap) -> bytes:
    """The library's own walk takes quadratic time."""
    return hdf5(lambda file: file.create_group("layers/" + "/".join(["g"] * 300)))


@ATTACKS("H6-01", source="CWE-400", expects=named("hdf5_hard_link", "medium"))
def a_ladder_of_hard_links(trap: Trap) -> bytes:
    """Two ways at each of forty steps: 2^40 paths, forty objects."""

    def write(file: Any) -> None:
        step = file.create_group("layers/ladder")
        for _ in range(40):
            below = step.create_group("a")
            step["b"] = below
            step = below

    return weights(write)


@ATTACKS("H6-02", source="CWE-674", expects=named("hdf5_hard_link", "medium"))
def a_group_within_itself(trap: Trap) -> bytes:
    """A hard link to a group above."""
    return weights(lambda file: file["layers/dense"].__setitem__("again", file["layers"]))


@ATTACKS("H6-03", source="CWE-400", expects=harmless())
def two_thousand_names_of_nothing(trap: Trap) -> bytes:
    """Empty groups, as many as fit."""
    return weights(lambda file: [file.create_group(f"layers/dense_{number}") for number in range(2000)])


@ATTACKS("H7-01", source="CVE-2026-0897", expects=named("hdf5_declared_size", "high", "layers/dense/vars/2"))
def chunks_that_inflate(trap: Trap) -> bytes:
    """Two gigabytes of zeros in a few kilobytes."""

    def write(file: Any) -> None:
        made = file.create_dataset("layers/dense/vars/2", (1 << 29,), "f4", chunks=(1 << 18,), compression="gzip")
        made[: 1 << 18] = np.zeros(1 << 18, "f4")

    return weights(write)


@ATTACKS("H7-02", source="https://docs.hdfgroup.org/hdf5/v1_14/_f_i_l_t_e_r.html", expects=harmless())
def a_filter_that_nobody_has(trap: Trap) -> bytes:
    """The library would look for a plugin to load."""

    def write(file: Any) -> None:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((4,))
        creation.set_filter(32_015, h5py.h5z.FLAG_OPTIONAL, (1,))
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file["layers/dense/vars"].id, b"2", h5py.h5t.IEEE_F32LE, space, dcpl=creation)

    return weights(write)


@ATTACKS("H8-01", source="CWE-789", expects=refused("unsupported_feature"))
def an_attribute_of_eighty_megabytes(trap: Trap) -> bytes:
    """Whoever reads attributes to see what the file is reads it whole."""
    data = io.BytesIO()
    with h5py.File(data, "w", libver="latest") as file:
        file.attrs["model_config"] = "{}"
        file.attrs["huge"] = np.zeros(80 << 20, "u1")
    return data.getvalue()


@ATTACKS("H8-02", source="CWE-789", expects=harmless())
def texts_and_references_as_weights(trap: Trap) -> bytes:
    """Types that point elsewhere in the file are not followed."""

    def write(file: Any) -> None:
        file.create_dataset("layers/dense/vars/2", (3,), h5py.string_dtype())
        file.create_dataset("layers/dense/vars/3", (3,), h5py.ref_dtype)

    return weights(write)


@ATTACKS("H8-03", source="CVE-2026-1669", expects=refused("truncated_file"))
def cut_in_the_middle(trap: Trap) -> bytes:
    """Addresses lead beyond the end."""
    data = weights()
    return data[: len(data) // 2]
