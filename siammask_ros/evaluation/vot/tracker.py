# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tracker that speaks TraX: the process that the VOT toolkit starts and sends images to.

`python -m siammask_ros.evaluation.vot.tracker`, with the options of `EntrantOptions`, talks over
its standard input and output, or over the local socket that TRAX_SOCKET names.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from siammask_ros.evaluation.vot.entrants import Answer, EntrantOptions, load_entrant
from siammask_ros.evaluation.vot.regions import REGION_KINDS, MaskRegion, Region
from siammask_ros.evaluation.vot.toolkit import Untyped, toolkit_module
from siammask_ros.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Sequence


def parse_arguments(arguments: Sequence[str] | None = None) -> EntrantOptions:
    """The options that the command line gives; those of the process if None."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracker", default=EntrantOptions.tracker)
    parser.add_argument("--weights", action="append", default=[])
    parser.add_argument("--preset", default=EntrantOptions.preset)
    parser.add_argument("--settings", action="append", default=[])
    parser.add_argument("--region", choices=REGION_KINDS, default=EntrantOptions.region)
    parser.add_argument("--device", default=EntrantOptions.device)
    parser.add_argument("--backend", default=EntrantOptions.backend)
    parser.add_argument("--precision", default=EntrantOptions.precision)
    parser.add_argument("--threads", type=int, default=EntrantOptions.threads)
    given = parser.parse_args(arguments)
    return EntrantOptions(
        tracker=given.tracker,
        weights=tuple(given.weights),
        preset=given.preset,
        settings=tuple(given.settings),
        region=given.region,
        device=given.device,
        backend=given.backend,
        precision=given.precision,
        threads=given.threads,
    )


def serve(options: EntrantOptions) -> None:
    """Answer the toolkit's requests until it quits.

    What goes wrong is told to the toolkit as the reason for which the session ends.
    """
    trax = toolkit_module("trax")
    # Whatever the truth is made of arrives unchanged, and every kind can be reported.
    formats = [trax.Region.RECTANGLE, trax.Region.POLYGON, trax.Region.MASK]
    with trax.Server(formats, [trax.Image.PATH], tracker_name=options.tracker) as server:
        entrant = load_entrant(options)
        while True:
            request = server.wait()
            if request.type == trax.TraxStatus.QUIT:
                return
            image = Path(request.image[trax.ImageChannel.COLOR].path())
            if request.type == trax.TraxStatus.INITIALIZE:
                start = _from_trax(trax, request.objects[0][0])
                entrant.start(image, start)
                answer = Answer(start)
            else:
                answer = entrant.follow(image)
            said = {"confidence": f"{answer.confidence:.6g}"}
            properties = said if math.isfinite(answer.confidence) else {}
            server.status([(_to_trax(trax, answer.region), properties)])


def _from_trax(trax: Untyped, region: Untyped) -> Region:
    if region.type == trax.Region.RECTANGLE:
        return Box(*region.bounds())
    if region.type == trax.Region.POLYGON:
        return np.array([region.get(index) for index in range(region.size())], np.float64)
    if region.type == trax.Region.MASK:
        return MaskRegion(region.array() > 0, region.offset())
    raise ValueError(f"TraX region of an unknown kind: {region.type}")


def _to_trax(trax: Untyped, region: Region) -> Untyped:
    if isinstance(region, Box):
        return trax.Rectangle.create(*region.xywh)
    if isinstance(region, MaskRegion):
        left, top = region.left_top
        return trax.Mask.create(np.ascontiguousarray(region.mask, np.uint8), left, top)
    return trax.Polygon.create([(float(x), float(y)) for x, y in region])


if __name__ == "__main__":
    serve(parse_arguments())
