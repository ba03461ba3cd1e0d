# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network as ONNX files, compared with torch before they are written."""

from __future__ import annotations

import io
import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from siammask_ros.backends.onnx_graphs import (
    EXEMPLAR_SIZE,
    SEARCH_SIZE,
    Graph,
    graphs_of,
    plain_kernels,
    plain_output,
)
from siammask_ros.files import write_whole
from siammask_ros.network import ExemplarKernels, SearchOutput, fuse_for_inference

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from siammask_ros.network import SiamMask

FORMAT = "siammask_ros/onnx/1"
OPSET = 17
"""Version of the operations: TensorRT 8.5 (JetPack 5) and OpenCV 4.8 know it."""
BATCH = "batch"
"""Name of the first dimension, where it is left open."""
DESCRIPTION = "network.json"
LARGEST_ERROR = 1e-4
"""Of a value relative to the largest of its tensor; rounding makes some 1e-6."""
CHECKED_BATCHES = (1, 3)
INPUT_COLORS = "BGR, 0 to 255, float32"


class TensorShape(NamedTuple):
    """A tensor that goes into a file's network or comes out."""

    name: str
    shape: tuple[int | str, ...]
    """Sides; the batch is a name where it is open."""
    dtype: str


class ExportedFile(NamedTuple):
    """A file of an export."""

    path: Path
    inputs: tuple[TensorShape, ...]
    outputs: tuple[TensorShape, ...]
    size_bytes: int
    error: float | None
    """Largest difference from torch, relative to the largest value of a tensor; None: unknown."""


class Export(NamedTuple):
    """What an export left in its folder."""

    files: tuple[ExportedFile, ...]
    description: Path
    """JSON: what the network is, and what goes in and comes out."""


def export_onnx(
    network: SiamMask,
    folder: str | os.PathLike[str],
    *,
    batch: int | None = None,
    exemplar_size: int = EXEMPLAR_SIZE,
    search_size: int = SEARCH_SIZE,
    check: bool | None = None,
    overwrite: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> Export:
    """Write a network as `exemplar.onnx`, `search.onnx` and, if it has masks, `mask.onnx`.

    Nothing is written unless all of them are made and right; each file is whole or absent.

    Args:
        network: on any device.
        folder: made if it is missing.
        batch: targets that the files take; by default any number.
        exemplar_size, search_size: sides of the patches in pixels.
        check: whether ONNX Runtime must give what torch gives; by default where it is installed.
        overwrite: whether files that are there may be replaced.
        metadata: what files and description shall say besides: text, numbers, lists and dicts.

    Raises:
        ImportError: `onnx` is not installed, or `onnxruntime` though a check is wanted.
        FileExistsError: a file is there already.
        ValueError: the batch is less than 1.
        RuntimeError: what a file gives differs from torch.
    """
    if batch is not None and batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    if check is None:
        check = find_spec("onnxruntime") is not None
    for package in ("onnx", *(("onnxruntime",) if check else ())):
        if find_spec(package) is None:
            raise ImportError(f"export needs {package}: pip install {package}")
    folder = Path(folder)
    graphs = graphs_of(
        network,
        exemplar_size=exemplar_size,
        search_size=search_size,
        batch=batch or CHECKED_BATCHES[-1],
    )
    description = folder / DESCRIPTION
    paths = [folder / f"{graph.name}.onnx" for graph in graphs]
    for path in (*paths, description):
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists already")
    about = {
        "format": FORMAT,
        "opset": OPSET,
        "architecture": network.architecture,
        "options": network.options,
        "default_preset": network.default_preset,
        "patch_colors": INPUT_COLORS,
        "exemplar_size": exemplar_size,
        "search_size": search_size,
        **(metadata or {}),
    }
    contents = [onnx_bytes(graph, is_open=batch is None, about=about) for graph in graphs]
    errors: list[float | None] = [None] * len(graphs)
    if check:
        errors = [*_checked(network, graphs, contents, (batch,) if batch else CHECKED_BATCHES)]
    files = tuple(
        ExportedFile(
            write_whole(path, content),
            *_shapes(graph, is_open=batch is None),
            size_bytes=len(content),
            error=error,
        )
        for graph, path, content, error in zip(graphs, paths, contents, errors, strict=True)
    )
    write_whole(description, _described(about, files))
    return Export(files, description)


def onnx_bytes(
    graph: Graph, *, is_open: bool = True, about: Mapping[str, Any] | None = None
) -> bytes:
    """A graph as the content of an ONNX file.

    Args:
        graph: what is written.
        is_open: whether it takes any batch, or that of its example.
        about: what the file says of itself.

    Raises:
        ImportError: `onnx` is not installed.
    """
    import onnx  # noqa: PLC0415 - an extra

    names = (*graph.inputs, *graph.outputs)
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # Sizes become constants, as they shall, and no index is negative. This exporter keeps the
        # names and needs nothing but onnx.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module,
            graph.example,
            stream,  # type: ignore[arg-type] # it takes streams too
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes={name: {0: BATCH} for name in names} if is_open else None,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_model_from_string(stream.getvalue())
    for node in model.graph.node:
        node.doc_string = ""  # where in the source it comes from
    model.producer_name = "siammask_ros"
    onnx.helper.set_model_props(
        model, {key: _as_text(value) for key, value in (about or {}).items()}
    )
    _state_shapes(model, graph, is_open=is_open)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _state_shapes(model: Any, graph: Graph, *, is_open: bool) -> None:  # noqa: ANN401 - no types
    """Write the outputs' sides, which the exporter gives names where it has not followed them."""
    _, outputs = _shapes(graph, is_open=is_open)
    for value, output in zip(model.graph.output, outputs, strict=True):
        for dim, side in zip(value.type.tensor_type.shape.dim, output.shape, strict=True):
            if isinstance(side, str):
                dim.dim_param = side
            else:
                dim.dim_value = side


def _shapes(
    graph: Graph, *, is_open: bool
) -> tuple[tuple[TensorShape, ...], tuple[TensorShape, ...]]:
    """Inputs and outputs of a graph."""
    with torch.no_grad():
        results = graph.module(*graph.example)

    def shape_of(name: str, tensor: Tensor) -> TensorShape:
        sides = tuple(tensor.shape)
        dtype = str(tensor.dtype).removeprefix("torch.")
        return TensorShape(name, (BATCH, *sides[1:]) if is_open else sides, dtype)

    return (
        tuple(map(shape_of, graph.inputs, graph.example)),
        tuple(map(shape_of, graph.outputs, results)),
    )


def _described(about: Mapping[str, Any], files: tuple[ExportedFile, ...]) -> str:
    content = {
        **about,
        "files": {
            file.path.name: {
                "inputs": [tensor._asdict() for tensor in file.inputs],
                "outputs": [tensor._asdict() for tensor in file.outputs],
                "error": file.error,
            }
            for file in files
        },
    }
    return json.dumps(content, indent=2) + "\n"


# --- The check


def _checked(
    network: SiamMask,
    graphs: tuple[Graph, ...],
    contents: list[bytes],
    batches: tuple[int, ...],
) -> Iterator[float]:
    """The largest error of each file in ONNX Runtime against the network itself in torch.

    Raises:
        RuntimeError: an error is too large.
    """
    reference = network if network.is_fused else fuse_for_inference(network)
    for graph, content in zip(graphs, contents, strict=True):
        session = _session(content)
        errors = []
        for batch in batches:
            inputs = tuple(tensor[:batch] for tensor in graph.example)
            expected = _expected(reference, graph, inputs)
            found = session.run(
                list(graph.outputs), dict(zip(graph.inputs, map(_as_array, inputs), strict=True))
            )
            errors += [
                _relative_error(torch.from_numpy(one), other)
                for one, other in zip(found, expected, strict=True)
            ]
        error = max(errors)
        if not error <= LARGEST_ERROR:  # NaN is none
            raise RuntimeError(
                f"{graph.name}.onnx differs from torch by {error:.1e} of its largest value, "
                f"{LARGEST_ERROR:.0e} is allowed"
            )
        yield error


def _session(content: bytes) -> Any:  # noqa: ANN401 - onnxruntime has no types
    import onnxruntime  # noqa: PLC0415 - an extra

    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def _as_array(tensor: Tensor) -> npt.NDArray[Any]:
    return tensor.contiguous().numpy()


def _expected(network: SiamMask, graph: Graph, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What the network itself, with its own operations, makes of a graph's inputs."""
    parameter = next(network.parameters())
    placed = [tensor.to(parameter.device) for tensor in inputs]
    with torch.inference_mode():
        if graph.name == "exemplar":
            results = plain_kernels(network.exemplar(placed[0].to(parameter.dtype)))
        elif graph.name == "search":
            patch, *kernels = placed
            named = dict(zip(graph.inputs[1:], kernels, strict=True))
            results = plain_output(
                network.search(
                    patch,
                    ExemplarKernels(
                        score=named["score_kernel"],
                        box=named.get("box_kernel"),
                        mask=named.get("mask_kernel"),
                    ),
                )
            )
        else:
            rows, columns, responses, *pyramid = placed
            output = SearchOutput(responses, None, responses, tuple(pyramid))
            results = (network.mask_at(output, rows.long(), columns.long()),)
    return tuple(result.cpu().float() for result in results)


def _relative_error(found: Tensor, expected: Tensor) -> float:
    largest = expected.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
    return float((found - expected).abs().max() / largest)
