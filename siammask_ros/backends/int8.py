# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks whose convolutions multiply numbers of eight bits.

They are made by ONNX Runtime's quantizer from what the network sees while it tracks, once, and
kept as files that ONNX Runtime and OpenVINO both run.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from siammask_ros.backends import names
from siammask_ros.backends.graphs import parts_of
from siammask_ros.backends.int8_calibration import Inputs, calibration_inputs
from siammask_ros.backends.onnx_files import onnx_bytes
from siammask_ros.backends.onnx_graphs import MASK_LOGITS, Graph, graphs_of
from siammask_ros.files import write_whole
from siammask_ros.weights import cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from siammask_ros.backends.graphs import GraphNetwork
    from siammask_ros.backends.int8_calibration import Clip
    from siammask_ros.network import SiamMask

RECIPE = 1
"""Counts the ways in which networks were made int8: kept files of another one are made anew."""
MAKERS = ("onnx", "onnxruntime")
"""Packages that it takes to make them."""
QUANTIZED = ("Conv", "ConvTranspose")
HEADS = ("score_head", "box_head")
"""Parts that stay in float32: little work, and their numbers decide what is chosen."""


class Int8Files(NamedTuple):
    """A network's int8 parts, for one patch each."""

    search: Path
    refine: Path | None
    """None without a refiner."""


def prepare_int8(network: SiamMask, *, backend: str, threads: int) -> GraphNetwork:
    """A network that tracks in int8. The first time it is made, which takes a minute.

    Args:
        network: fused, in float32, on the CPU.
        backend: openvino or onnxruntime.
        threads: CPU threads that it uses.

    Raises:
        ImportError: it has to be made, and what makes it is not installed.
    """
    files = int8_files(network)
    if not _are_there(files):
        make_int8(network)
    if backend == names.OPENVINO:
        from siammask_ros.backends.openvino import OpenVinoNetwork, read_models  # noqa: PLC0415

        return OpenVinoNetwork(
            network, precision=names.INT8, threads=threads, models=read_models(*files)
        )
    from siammask_ros.backends.onnxruntime import OnnxModels, OnnxRuntimeNetwork  # noqa: PLC0415

    models = OnnxModels(str(files.search), None if files.refine is None else str(files.refine))
    return OnnxRuntimeNetwork(network, precision=names.INT8, threads=threads, models=models)


def int8_files(network: SiamMask) -> Int8Files:
    """Where the int8 parts of a network are kept: a folder named by its weights, in the cache."""
    folder = cache_dir() / "int8" / _key(network)
    return Int8Files(
        folder / "search.onnx", folder / "refine.onnx" if network.has_refiner else None
    )


def make_int8(network: SiamMask, clips: Iterable[Clip] | None = None) -> Int8Files:
    """Make the int8 parts of a network anew, and keep them.

    Args:
        network: fused, in float32, on the CPU.
        clips: what it is to track, by which its numbers are scaled; by default rendered scenes.

    Raises:
        ImportError: what makes them is not installed.
        OSError: they cannot be kept.
    """
    missing = [package for package in MAKERS if find_spec(package) is None]
    if missing:
        raise ImportError(f"to make an int8 network needs: pip install {' '.join(missing)}")
    seen = calibration_inputs(network, clips)
    search, refine = _graphs(network)
    files = int8_files(network)
    made = [(files.search, _quantized(search, seen.search))]
    if refine is not None and files.refine is not None:
        made.append((files.refine, _quantized(refine, seen.refine)))
    for path, content in made:
        write_whole(path, content)
    return files


def _are_there(files: Int8Files) -> bool:
    return all(path is None or path.is_file() for path in files)


def _key(network: SiamMask) -> str:
    """A name for a network's weights, and the recipe."""
    about = [RECIPE, network.architecture, network.options]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return f"{network.architecture}-{digest.hexdigest()[:16]}"


def _graphs(network: SiamMask) -> tuple[Graph, Graph | None]:
    """Search and refinement of one patch."""
    _, search, *_ = graphs_of(network, batch=1)
    refine = parts_of(network).refine
    if refine is None:
        return search, None
    inputs = tuple(f"window_{index}" for index in range(len(refine.example)))
    return search, Graph(refine.name, refine.module, inputs, (MASK_LOGITS,), refine.example)


def _quantized(graph: Graph, seen: Sequence[Inputs]) -> bytes:
    """A graph as ONNX, with 8 bits before and in each convolution whose weights are constants."""
    from onnxruntime import quantization  # noqa: PLC0415 - an extra
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, quantized = (Path(folder, f"{number}.onnx") for number in range(3))
        plain.write_bytes(onnx_bytes(graph, is_open=False))
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            quantized,
            _reader(graph, seen),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            nodes_to_exclude=_nodes_of(prepared, HEADS),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return quantized.read_bytes()


def _nodes_of(path: Path, parts: Sequence[str]) -> list[str]:
    """Names of a file's nodes that belong to these parts of the network."""
    import onnx  # noqa: PLC0415 - an extra

    nodes = onnx.load(path).graph.node
    return [node.name for node in nodes if set(node.name.split("/")) & set(parts)]


def _reader(graph: Graph, seen: Sequence[Inputs]) -> Any:  # noqa: ANN401 - no types
    """What the quantizer asks for one set of inputs after the other."""
    from onnxruntime.quantization import CalibrationDataReader  # noqa: PLC0415 - an extra

    class Reader(CalibrationDataReader):  # type: ignore[misc] # no types
        def __init__(self) -> None:
            self._rest = iter(seen)

        def get_next(self) -> dict[str, Any] | None:
            inputs = next(self._rest, None)
            return None if inputs is None else dict(zip(graph.inputs, inputs, strict=True))

    return Reader()
