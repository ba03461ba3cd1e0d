# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks for OpenCV's trackers that find what is bright, written as ONNX files byte by byte.

They have the inputs and outputs that OpenCV asks for, and nothing is learned. The format is
protobuf: each field is a key (number and wire type) and a varint or a counted run of bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

VARINT, COUNTED = 0, 2
FLOAT, INTS = 1, 7
IR_VERSION, OPSET = 7, 12
CELL = 16
"""Pixels of a search patch that one place of a response stands for."""


class Node(NamedTuple):
    """An operation; attributes are lists of integers."""

    operation: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, tuple[int, ...]] = {}  # noqa: RUF012 - nobody changes it


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    number &= (1 << 64) - 1
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a message."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | COUNTED) + varint(len(content)) + content


def node_message(node: Node) -> bytes:
    names = [field(1, name) for name in node.inputs] + [field(2, node.output)]
    attributes = [
        field(5, field(1, name) + b"".join(field(8, each) for each in values) + field(20, INTS))
        for name, values in node.attributes.items()
    ]
    return b"".join([*names, field(3, node.output), field(4, node.operation), *attributes])


def tensor_message(name: str, values: np.ndarray) -> bytes:
    dims = b"".join(field(1, int(side)) for side in values.shape)
    return dims + field(2, FLOAT) + field(8, name) + field(9, values.astype("<f4").tobytes())


def value_message(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(field(1, field(1, side) if side else b"") for side in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims)))


def write_model(
    path: Path,
    nodes: list[Node],
    weights: dict[str, np.ndarray],
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
) -> str:
    """Write a network and return its path."""
    graph = b"".join(field(1, node_message(node)) for node in nodes) + field(2, "tiny")
    graph += b"".join(field(5, tensor_message(*item)) for item in weights.items())
    graph += b"".join(field(11, value_message(*item)) for item in inputs.items())
    graph += b"".join(field(12, value_message(*item)) for item in outputs.items())
    opset = field(1, "") + field(2, OPSET)
    path.write_bytes(field(1, IR_VERSION) + field(8, opset) + field(7, graph))
    return str(path)


def pooled(source: str, output: str, *, beyond: int = 0) -> Node:
    """Means of cells, the last one reaching over the edge."""
    attributes = {"kernel_shape": (CELL, CELL), "strides": (CELL, CELL)}
    return Node("AveragePool", (source,), output, {**attributes, "pads": (0, 0, beyond, beyond)})


def convolved(inputs: tuple[str, str, str], output: str) -> Node:
    """A 1x1 convolution."""
    return Node("Conv", inputs, output, {"kernel_shape": (1, 1)})


def constant_maps(values: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Weights of a 1x1 convolution of three channels that says the same everywhere."""
    return {"weight": np.zeros((len(values), 3, 1, 1)), "bias": np.array(values)}


def write_nano(folder: Path) -> tuple[str, str]:
    """Backbone and head of a NanoTrack: brightness is the score, the size is the exemplar's."""
    backbone = write_model(
        folder / "backbone.onnx",
        [pooled("input", "feature", beyond=1)],
        {},
        {"input": (1, 3, 255, 255)},
        {"feature": (1, 3, 16, 16)},
    )
    half = 127 / 4  # of a square target, whose exemplar shows twice its side
    sides = constant_maps((half,) * 4)
    head = write_model(
        folder / "head.onnx",
        [
            Node("GlobalAveragePool", ("input1",), "exemplar"),
            Node("Mul", ("exemplar", "zero"), "nothing"),  # as OpenCV wants both inputs used
            Node("Add", ("input2", "nothing"), "search"),
            convolved(("search", "score_weight", "score_bias"), "output1"),
            convolved(("search", "side_weight", "side_bias"), "output2"),
        ],
        {
            "zero": np.zeros((1, 3, 1, 1)),
            "score_weight": np.stack([np.zeros((3, 1, 1)), np.full((3, 1, 1), 1 / 48)]),
            "score_bias": np.array([0.0, -8.0]),
            "side_weight": sides["weight"],
            "side_bias": sides["bias"],
        },
        {"input1": (1, 3, 8, 8), "input2": (1, 3, 16, 16)},
        {"output1": (1, 2, 16, 16), "output2": (1, 4, 16, 16)},
    )
    return backbone, head


def write_vit(folder: Path) -> str:
    """A VitTrack: brightness is the score, the size a quarter of the search patch."""
    sizes, offsets = constant_maps((0.25, 0.25)), constant_maps((0.5, 0.5))
    return write_model(
        folder / "vit.onnx",
        [
            Node("GlobalAveragePool", ("template",), "exemplar"),
            Node("Mul", ("exemplar", "zero"), "nothing"),
            pooled("search", "feature"),
            Node("Add", ("feature", "nothing"), "cells"),
            convolved(("cells", "score_weight", "score_bias"), "logits"),
            Node("Sigmoid", ("logits",), "output1"),
            convolved(("cells", "size_weight", "size_bias"), "output2"),
            convolved(("cells", "offset_weight", "offset_bias"), "output3"),
        ],
        {
            "zero": np.zeros((1, 3, 1, 1)),
            "score_weight": np.full((1, 3, 1, 1), -1.0),  # what OpenCV hands over falls with light
            "score_bias": np.zeros(1),
            "size_weight": sizes["weight"],
            "size_bias": sizes["bias"],
            "offset_weight": offsets["weight"],
            "offset_bias": offsets["bias"],
        },
        {"template": (1, 3, 128, 128), "search": (1, 3, 256, 256)},
        {"output1": (1, 1, 16, 16), "output2": (1, 2, 16, 16), "output3": (1, 2, 16, 16)},
    )
