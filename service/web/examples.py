"""Examples of what is sent and answered, for the description. A test sends or reads each of them."""

from __future__ import annotations

from typing import Any

SAFETENSORS = '<\0\0\0\0\0\0\0{"bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   abcd'
"""A whole file: the length of its header in eight bytes, the header, one weight in four bytes."""
KERAS_SPEC = {"framework": "keras", "input_shape": [512], "layers": [{"type": "BatchNormalization"}]}
TORCH_SPEC = {
    "framework": "torch",
    "input_shape": [1, 64, 64],
    "layers": [
        {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1},
        {"type": "BatchNorm2d"},
        {"type": "Flatten"},
        {"type": "Linear", "out_features": 10},
    ],
}
SPECS = {
    "keras": {"summary": "Why does BatchNormalization on 512 features have 2,048 parameters?", "value": KERAS_SPEC},
    "torch": {"summary": "A small network in PyTorch's words.", "value": TORCH_SPEC},
}

LEFT, RIGHT = "01935f5e-9d1c-7b5a-8c3e-2f6a1d4b7e90", "01935f5e-a2f4-7d21-9b60-5e8c3a7f1d42"
COMPARISON = {
    "structure": {"summary": "Two analyses by their ids.", "value": {"left": LEFT, "right": RIGHT}},
    "values": {"summary": "With their numbers.", "value": {"left": LEFT, "right": RIGHT, "values": True}},
}

PROBLEM: dict[str, Any] = {
    "type": "urn:weighbridge:problem:bad_request",
    "title": "The request, rather than the file in it, is at fault",
    "status": 400,
    "detail": "batch: It must be from 1 to 1,048,576.",
    "code": "bad_request",
    "request_id": "01935f5e-b7c0-7e13-a4d5-6f1b2c3d4e5f",
    "instance": f"/v1/analyses/{LEFT}",
    "pointer": "batch",
    "errors": {"batch": ["It must be from 1 to 1,048,576."]},
}
