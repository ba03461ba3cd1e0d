# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The messages and services of siammask_msgs for the bag library, where there is no ROS.

They are read from the definitions that ROS compiles: beside the package in a source checkout,
within it where it is installed.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from siammask_ros.frames import NANOSECONDS_PER_SECOND
from siammask_ros.result_messages import Message, MessageClasses, ResultMessages

if TYPE_CHECKING:
    from rosbags.interfaces.typing import Typesdict
    from rosbags.typesys.store import Typestore

    from siammask_ros.bags.topics import SourceHeader

PACKAGE = "siammask_msgs"
EVENT_INFO = "service_msgs/msg/ServiceEventInfo"
_INSTALLED = Path(__file__).parent / "definitions"
# Resolved: colcon's --symlink-install leads here by links.
_CHECKOUT = Path(__file__).resolve().parents[2] / PACKAGE
_REQUEST_FROM_RESPONSE = "\n---\n"


def definitions_folder() -> Path:
    """The folder with `msg/*.msg` and `srv/*.srv`.

    Raises:
        FileNotFoundError: the installation is not whole.
    """
    for folder in (_INSTALLED, _CHECKOUT):
        if (folder / "msg").is_dir():
            return folder
    raise FileNotFoundError(
        f"the definitions of {PACKAGE} are missing: neither {_INSTALLED} nor {_CHECKOUT} has msg/"
    )


@lru_cache(maxsize=1)
def result_typestore() -> Typestore:
    """The types of the newest ROS 2 that the bag library knows, and those of siammask_msgs.

    Raises:
        ImportError: the package `rosbags` is not installed.
    """
    try:
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        raise ImportError("bags need the package 'rosbags' (pip install rosbags)") from error
    store = get_typestore(Stores.LATEST)
    register_message_types(store)
    return store


def register_message_types(store: Typestore) -> None:
    """Add the types of siammask_msgs to a store that knows those of ROS 2.

    Raises:
        rosbags.typesys.TypesysError: it has one of them already, with other fields.
    """
    store.register(definitions())


@lru_cache(maxsize=1)
def recorded_messages() -> ResultMessages:
    """Builds the messages of results of the classes of `result_typestore`."""
    types = result_typestore().types
    return ResultMessages(
        MessageClasses(
            image=types["sensor_msgs/msg/Image"],
            region_of_interest=types["sensor_msgs/msg/RegionOfInterest"],
            point32=types["geometry_msgs/msg/Point32"],
            rotated_box=types[f"{PACKAGE}/msg/RotatedBox"],
            rotated_box_array=types[f"{PACKAGE}/msg/RotatedBoxArray"],
            confidence=types[f"{PACKAGE}/msg/Confidence"],
            sequence=np.ascontiguousarray,
        )
    )


def recorded_header(header: SourceHeader) -> Message:
    """The header of a source image as a message of `result_typestore`."""
    types = result_typestore().types
    seconds, nanoseconds = divmod(header.stamp_ns, NANOSECONDS_PER_SECOND)
    stamp = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types["std_msgs/msg/Header"](stamp=stamp, frame_id=header.frame_id)


def definitions() -> Typesdict:
    """All types of siammask_msgs by name, as in `siammask_msgs/msg/RotatedBox`."""
    folder = definitions_folder()
    types: Typesdict = {}
    for path in sorted(folder.glob("msg/*.msg")):
        types.update(_parse(path.read_text(encoding="utf-8"), "msg", path.stem))
    for path in sorted(folder.glob("srv/*.srv")):
        types.update(_service(path.read_text(encoding="utf-8"), path.stem))
    return types


def _parse(text: str, kind: str, name: str) -> Typesdict:
    from rosbags.typesys import get_types_from_msg

    # The parser knows messages only; it is told that a request or response is one.
    parsed = get_types_from_msg(text, f"{PACKAGE}/msg/{name}")
    return {f"{PACKAGE}/{kind}/{name}": parsed[f"{PACKAGE}/msg/{name}"]}


def _service(text: str, name: str) -> Typesdict:
    """Request, response, and the event with both that service introspection publishes."""
    from rosbags.interfaces import Nodetype

    request, response = text.split(_REQUEST_FROM_RESPONSE)
    types = {
        **_parse(request, "srv", f"{name}_Request"),
        **_parse(response, "srv", f"{name}_Response"),
    }
    event = f"{PACKAGE}/srv/{name}"
    types[f"{event}_Event"] = (
        [],
        [
            ("info", (Nodetype.NAME, EVENT_INFO)),
            ("request", (Nodetype.SEQUENCE, ((Nodetype.NAME, f"{event}_Request"), 1))),
            ("response", (Nodetype.SEQUENCE, ((Nodetype.NAME, f"{event}_Response"), 1))),
        ],
    )
    return types
