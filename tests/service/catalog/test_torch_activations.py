"""What the operations of a graph leave in memory, on graphs written down by hand."""

from __future__ import annotations

from typing import Any

from service.catalog.torch_activations import activations
from service.catalog.torch_graph import read_graph

Meta = dict[str, Any]


def meta(*sizes: int | str, strides: tuple[int, ...] | None = None, dtype: int = 7) -> Meta:
    """What the file says of a tensor; a size may be an expression."""
    known = [{"as_int": size} if isinstance(size, int) else {"as_expr": {"expr_str": size}} for size in sizes]
    steps = {} if strides is None else {"strides": [{"as_int": stride} for stride in strides]}
    return {"dtype": dtype, "sizes": known, **steps}


def node(operation: str, inputs: tuple[str, ...], output: str, target: str = "torch.ops.aten.{}.default") -> Meta:
    """One operation of the root."""
    return {
        "target": target.format(operation),
        "inputs": [{"name": "a", "arg": {"as_tensor": {"name": name}}} for name in inputs],
        "outputs": [{"as_tensor": {"name": output}}],
        "metadata": {"nn_module_stack": "L__self__,,__main__.Net"},
    }


def tag(values: dict[str, Meta], *nodes: Meta, weights: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The tag of a program that returns its last node's output."""
    graph = {"nodes": list(nodes), "outputs": nodes[-1]["outputs"]}
    found: dict[str, Any] = activations(read_graph(graph, weights), values, weights)["activations"]
    return found


def test_a_chain() -> None:
    """Two additions of four floats: input and outputs are kept, two of the three live at once."""
    values = {name: meta(4) for name in "xyz"}
    assert tag(values, node("add", ("x",), "y"), node("add", ("y",), "z")) == {
        "kept_bytes": [48, 0], "kept_elements": [12, 0], "live_bytes": [[32, 0]],
    }  # fmt: skip


def test_views_and_steps_in_place_take_nothing() -> None:
    """They keep what they look at alive: x is read through its view at the end."""
    values = {"x": meta(4), "v": meta(2, 2), "w": meta(4), "y": meta(4), "z": meta(4)}
    found = tag(values, node("view", ("x",), "v"), node("add", ("x",), "y"), node("relu_", ("y",), "w"),
                node("add", ("v", "w"), "z"))  # fmt: skip
    assert (found["kept_bytes"], found["live_bytes"]) == ([48, 0], [[48, 0]])


def test_a_reshape_copies_what_did_not_lie_in_order() -> None:
    """Of a transposed tensor a new one is made; of one in order, or a result that is not in order, none is."""
    rows, columns = meta(2, 3, strides=(3, 1)), meta(3, 2, strides=(1, 3))
    flat, odd = meta(6, strides=(1,)), meta(3, 2, 1, strides=(1, 3, 1))
    end = node("relu", ("f",), "z")
    copied = tag({"x": columns, "f": flat, "z": flat}, node("reshape", ("x",), "f"), end)
    seen = tag({"x": rows, "f": flat, "z": flat}, node("reshape", ("x",), "f"), end)
    kept = tag({"x": columns, "f": odd, "z": flat}, node("reshape", ("x",), "f"), end)
    assert [found["kept_bytes"][0] for found in (copied, seen, kept)] == [72, 48, 48]


def test_a_conversion_to_the_same_type_is_no_copy() -> None:
    """float32 to float32 returns its input, to float16 makes half as many bytes."""
    same = tag({"x": meta(4), "y": meta(4), "z": meta(4)}, node("to", ("x",), "y"), node("relu", ("y",), "z"))
    half = tag({"x": meta(4), "y": meta(4, dtype=6)}, node("to", ("x",), "y"))
    assert (same["kept_bytes"], half["kept_bytes"]) == ([32, 0], [24, 0])


def test_the_batch_may_be_open_and_times_a_number() -> None:
    """Both spellings of the exporter: `s0`, and `Mul(Integer(4), Symbol('s0', ...))`."""
    long = "Symbol('s0', positive=True, integer=True)"
    values = {"x": meta(long, 8), "y": meta(f"Mul(Integer(4), {long})", 2), "m": meta(3)}
    assert tag(values, node("ones", (), "m"), node("clone", ("x", "m"), "y"))["kept_elements"] == [3, 16]
    values = {"x": meta("s0", 8), "y": meta("4*s0", 2)}
    assert tag(values, node("clone", ("x",), "y"))["kept_elements"] == [0, 16]


def test_the_worst_moment_depends_on_the_batch() -> None:
    """Of moments with more for one example and with more always both are kept."""
    values = {"x": meta("s0", 2), "y": meta("s0", 20), "m": meta(300), "z": meta(1)}
    found = tag(values, node("mul", ("x",), "y"), node("relu", ("y",), "z"), node("ones", (), "m"),
                node("add", ("z", "m"), "z2"))  # fmt: skip
    assert found == {"unknown": True}
    values["z2"] = meta(1)
    found = tag(values, node("mul", ("x",), "y"), node("relu", ("y",), "z"), node("ones", (), "m"),
                node("add", ("z", "m"), "z2"))  # fmt: skip
    assert found["live_bytes"] == [[0, 88], [4, 80], [1208, 0]]


def test_what_is_not_known_is_said() -> None:
    """Two symbols, a square of one, any other expression, no size, a graph inside a node, a size beyond reason."""
    for size in (("s0", "s1"), ("s0", "s0"), ("s0 + 1",), (2**62, 4)):
        assert tag({"x": meta("s0"), "y": meta(*size)}, node("add", ("x",), "y")) == {"unknown": True}
    assert tag({}, node("add", ("x",), "y")) == {"unknown": True}
    inner = node("cond", ("x",), "y", target="torch.ops.higher_order.{}")
    assert tag({"x": meta(4), "y": meta(4)}, inner) == {"unknown": True}


def test_weights_are_not_activations() -> None:
    """Nor is a view of one."""
    values = {"x": meta(4), "w": meta(4), "t": meta(4), "y": meta(4)}
    found = tag(values, node("t", ("w",), "t"), node("add", ("x", "t"), "y"), weights=frozenset({"w"}))
    assert found["kept_bytes"] == [32, 0]


def test_what_the_exporter_adds_runs_in_no_module() -> None:
    """An operation under its placeholder of a stack belongs to the root; no layer of that name is listed."""
    hook = "_empty_nn_module_stack_from_metadata_hook"
    asked = {**node("sym_size", ("x",), "n"), "metadata": {"nn_module_stack": ",".join([hook] * 3)}}
    graph = read_graph({"nodes": [asked, node("add", ("x",), "y")], "outputs": []}, frozenset())
    assert list(graph.modules) == [""]
