"""The options of TensorFlow Lite's operators by name, from their tables; knows LiteRT's schema.fbs, no file.

One line per options table: its fields in the order of the schema as `name:type=default`. The type is a letter of
`struct` for numbers (`?` a truth value), `s` a text, `g` the number of a subgraph, a capital letter an enumeration; in
brackets a list of such; `-` a field that is no longer used. `U` is an element type that only newer versions of an
operator have.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from service.catalog.tflite_names import TENSOR_TYPES
from service.parsers.flatbuffer import Table
from service.plain import json_value

_MAX_LIST = 4096
"""Longest list kept among an operator's options."""

_ENUMERATIONS: Mapping[str, tuple[str, Mapping[int, str]]] = MappingProxyType({
    "P": ("b", {0: "SAME", 1: "VALID"}),
    "A": ("b", {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}),
    "T": ("b", TENSOR_TYPES),
    "U": ("b", TENSOR_TYPES),
    "W": ("b", {0: "DEFAULT", 1: "SHUFFLED4x16INT8"}),
    "K": ("b", {0: "FULL", 1: "BASIC"}),
    "C": ("b", {0: "SUM", 1: "MEAN", 2: "SQRTN"}),
    "L": ("b", {0: "UNKNOWN", 1: "SPARSE", 2: "DENSE"}),
    "M": ("b", {0: "REFLECT", 1: "SYMMETRIC"}),
    "D": ("I", {0: "EQ", 1: "NE", 2: "GE", 3: "GT", 4: "LE", 5: "LT"}),
})  # fmt: skip

_FIRST = {
    1: (
        "padding:P stride_w:i stride_h:i fused_activation_function:A dilation_w_factor:i=1 "
        "dilation_h_factor:i=1 quantized_bias_type:U"
    ),
    2: (
        "padding:P stride_w:i stride_h:i depth_multiplier:i fused_activation_function:A dilation_w_factor:i=1 "
        "dilation_h_factor:i=1"
    ),
    3: "num_channels:i num_columns_per_channel:[i] embedding_dim_per_channel:[i]",
    4: "type:L",
    5: "padding:P stride_w:i stride_h:i filter_width:i filter_height:i fused_activation_function:A",
    6: "rank:i fused_activation_function:A asymmetric_quantize_inputs:?",
    7: "fused_activation_function:A asymmetric_quantize_inputs:?",
    8: (
        "fused_activation_function:A weights_format:W keep_num_dims:? asymmetric_quantize_inputs:? "
        "quantized_bias_type:U"
    ),
    9: "beta:f",
    10: "axis:i fused_activation_function:A",
    11: "fused_activation_function:A pot_scale_int16:?=1",
    12: "fused_activation_function:A",
    13: "radius:i bias:f alpha:f beta:f",
    14: "fused_activation_function:A cell_clip:f proj_clip:f kernel_type:K asymmetric_quantize_inputs:?",
    15: "- - align_corners:? half_pixel_centers:?",
    16: "subgraph:g",
    17: "new_shape:[i]",
    18: "ngram_size:i max_skip_size:i include_all_ngrams:?",
    19: "block_size:i",
    20: "combiner:C",
    21: "fused_activation_function:A",
    23: "axis:i batch_dims:i",
    27: "keep_dims:?",
    28: "fused_activation_function:A pot_scale_int16:?=1",
    29: "fused_activation_function:A",
    30: "squeeze_dims:[i]",
    31: "time_major:? fused_activation_function:A asymmetric_quantize_inputs:?",
    32: "begin_mask:i end_mask:i ellipsis_mask:i new_axis_mask:i shrink_axis_mask:i offset:?",
    35: "num_splits:i",
    37: "in_data_type:T out_data_type:T",
    40: "output_type:T",
    49: "padding:P stride_w:i stride_h:i fused_activation_function:A quantized_bias_type:U",
    50: "validate_indices:?",
    55: "out_type:T",
    57: "output_type:T",
    58: "min:f max:f num_bits:i narrow_range:?",
    59: "values_count:i axis:i",
    61: "axis:i",
    64: "num:i axis:i",
    69: (
        "fused_activation_function:A cell_clip:f proj_clip:f merge_outputs:? time_major:?=1 "
        "asymmetric_quantize_inputs:?"
    ),
    70: "time_major:? fused_activation_function:A merge_outputs:? asymmetric_quantize_inputs:?",
    71: (
        "fused_activation_function:A cell_clip:f proj_clip:f time_major:? asymmetric_quantize_inputs:? "
        "diagonal_recurrent_tensors:?"
    ),
    74: "align_corners:? half_pixel_centers:?",
    75: "alpha:f",
    77: "mode:M",
    79: "num_splits:i",
    80: "idx_out_type:T=2",
    87: "seq_dim:i batch_dim:i",
    92: "then_subgraph_index:g else_subgraph_index:g",
    93: "cond_subgraph_index:g body_subgraph_index:g",
    94: "block_size:i",
    101: "adj_x:? adj_y:? asymmetric_quantize_inputs:?",
    102: "exclusive:? reverse:?",
    103: "init_subgraph_index:g",
    106: (
        "padding:P stride_d:i stride_w:i stride_h:i fused_activation_function:A dilation_d_factor:i=1 "
        "dilation_w_factor:i=1 dilation_h_factor:i=1"
    ),
    107: "table_id:i key_dtype:T value_dtype:T",
    111: "container:s shared_name:s",
    114: "seed:l seed2:l",
    115: "boundaries:[f]",
    116: "approximate:?",
}
"""By the member of the union BuiltinOptions."""

_SECOND = {
    1: "dimension:l",
    2: "broadcast_dimensions:[l]",
    3: "start_indices:[l] limit_indices:[l] strides:[l]",
    4: (
        "window_strides:[l] padding:[l] lhs_dilation:[l] rhs_dilation:[l] window_reversal:[?] "
        "input_batch_dimension:l input_feature_dimension:l input_spatial_dimensions:[l] "
        "kernel_input_feature_dimension:l kernel_output_feature_dimension:l kernel_spatial_dimensions:[l] "
        "output_batch_dimension:l output_feature_dimension:l output_spatial_dimensions:[l] "
        "feature_group_count:l batch_group_count:l"
    ),
    5: "call_target_name:s has_side_effect:? backend_config:s api_version:i",
    6: "dimensions:[l] body_subgraph_index:g",
    7: (
        "indices_are_sorted:? update_window_dims:[l] inserted_window_dims:[l] "
        "scatter_dims_to_operand_dims:[l] index_vector_dim:l unique_indices:? "
        "update_computation_subgraph_index:g"
    ),
    8: "comparison_direction:D compare_type:I",
    9: "slice_sizes:[l]",
    10: "edge_padding_low:[l] edge_padding_high:[l] interior_padding:[l]",
    11: "iota_dimension:l",
    12: (
        "lhs_batching_dimensions:[l] rhs_batching_dimensions:[l] lhs_contracting_dimensions:[l] "
        "rhs_contracting_dimensions:[l]"
    ),
    13: (
        "window_dimensions:[l] window_strides:[l] base_dilations:[l] window_dilations:[l] padding:[l] "
        "body_subgraph_index:g"
    ),
    14: "dimension:l is_stable:? comparator_subgraph_index:g",
    15: "cond_subgraph_index:g body_subgraph_index:g",
    16: (
        "offset_dims:[l] collapsed_slice_dims:[l] start_index_map:[l] index_vector_dim:l slice_sizes:[l] "
        "indices_are_sorted:?"
    ),
    17: "permutation:[l]",
    19: "algorithm:I",
    21: "name:s decomposition_subgraph_index:g",
    23: "branch_subgraph_indices:[g]",
}
"""By the member of the union BuiltinOptions2."""


class _Field:
    """One field of an options table, from its line."""

    __slots__ = ("default", "is_list", "kind", "name", "number")

    def __init__(self, number: int, line: str) -> None:
        self.name, _, kind = line.partition(":")
        kind, _, default = kind.partition("=")
        self.number = number
        self.is_list = kind.startswith("[")
        self.kind = kind.strip("[]")
        self.default = int(default or 0)


def _parsed(lines: Mapping[int, str]) -> dict[int, tuple[_Field, ...]]:
    return {
        number: tuple(_Field(index, field) for index, field in enumerate(line.split()) if field != "-")
        for number, line in lines.items()
    }


_TABLES = (_parsed(_FIRST), _parsed(_SECOND))


def options_of(first: tuple[int, Table | None], second: tuple[int, Table | None]) -> dict[str, Any]:
    """The options of an operator as stored, from the two unions that may hold them; enumerations by their names."""
    found: dict[str, Any] = {}
    for fields, (member, table) in zip(_TABLES, (first, second), strict=True):
        if table is not None:
            known = (field for field in fields.get(member, ()) if field.kind != "U" or table.at(field.number, 1))
            found.update((field.name, _value(table, field)) for field in known)
    return found


def subgraphs_of(first: tuple[int, Table | None], second: tuple[int, Table | None]) -> list[tuple[str, int]]:
    """(what for, number) of the subgraphs that an operator runs."""
    found: list[tuple[str, int]] = []
    for fields, (member, table) in zip(_TABLES, (first, second), strict=True):
        for field in fields.get(member, ()) if table is not None else ():
            if field.kind == "g" and table is not None:
                value = _value(table, field)
                role = field.name.partition("_subgraph")[0]
                found.extend((role, number) for number in (value if field.is_list else (value,)))
    return found


def _value(table: Table, field: _Field) -> Any:
    if field.kind == "s":
        return table.text(field.number)
    code, names = _ENUMERATIONS.get(field.kind, ("i" if field.kind == "g" else field.kind, None))
    if field.is_list:
        found = table.numbers(field.number, code, _MAX_LIST) or ()
        return json_value(found) if code == "f" else list(found)
    value = table.scalar(field.number, code, field.default)
    if code == "f":
        return json_value(value)
    if field.kind == "?":
        return bool(value)
    return value if names is None else names.get(value, str(value))
