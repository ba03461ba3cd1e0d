# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask select`: a box drawn with the mouse on the live image."""

from __future__ import annotations

from typing import Annotated

import typer

from siammask_ros.cli.common import parse_box


def select(
    box: Annotated[
        str,
        typer.Option(
            "--box", "-b", help="x,y,width,height on the newest image, instead of a window."
        ),
    ] = "",
    once: Annotated[  # noqa: FBT002 - typer calls it by name
        bool, typer.Option("--once", help="End after the first box that was accepted.")
    ] = False,
    target_id: Annotated[
        int, typer.Option("--id", min=0, max=255, help="Id of the target; 0: any free one.")
    ] = 0,
    label: Annotated[str, typer.Option("--label", help="A word for the target.")] = "",
    replace: Annotated[  # noqa: FBT002 - typer calls it by name
        bool, typer.Option("--replace", help="Drop the camera's other targets.")
    ] = False,
    camera: Annotated[
        str, typer.Option("--camera", help="The camera's name, where there are several.")
    ] = "",
    image: Annotated[
        str,
        typer.Option("--image", help="Image topic; by default the one that the tracker reads."),
    ] = "",
    tracker: Annotated[
        str, typer.Option("--tracker", help="Name of the tracker's node.")
    ] = "/siammask_tracker",
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds to wait for the tracker.")
    ] = 10.0,
) -> None:
    """Draw boxes on the live image of a running tracker node, which then follows them."""
    given = parse_box(box) if box else None
    try:
        from siammask_ros.ros.select import SelectOptions
        from siammask_ros.ros.select import select as select_targets
    except ImportError as error:
        raise RuntimeError(f"select needs ROS 2 and siammask_msgs in this shell: {error}") from None
    options = SelectOptions(
        tracker=tracker,
        camera=camera,
        image=image,
        target_id=target_id,
        label=label,
        replace=replace,
        once=once,
        box=given,
        timeout_s=timeout,
    )
    for line in select_targets(options):
        typer.echo(line)
