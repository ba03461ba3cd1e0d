# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where targets are, as messages and markers: pure functions that need no node."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from geometry_msgs.msg import (
    Point,
    PoseStamped,
    PoseWithCovarianceStamped,
    Quaternion,
    TransformStamped,
    Vector3,
)
from rclpy.duration import Duration
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from siammask_msgs.msg import RotatedBox, TargetPose, TargetPoseArray
from siammask_ros.localization.camera import FloatArray
from siammask_ros.localization.clouds import CloudLayout
from siammask_ros.localization.localizer import Located, Source
from siammask_ros.localization.space import RigidTransform, facing
from siammask_ros.ros.markers import state_rgb
from siammask_ros.target_status import TargetStatus

BALL_M = 0.2
TEXT_M = 0.15
ARROW_M = 0.05
BEARING_M = 1.0
"""The arrow of a target of which only the direction is known is so long."""
VELOCITY_SECONDS = 1.0
"""The arrow of the velocity ends where the target will be after so long."""

LEAST_SPEED = 0.05
"""m/s; slower targets have no arrow."""


class OutputFrame(NamedTuple):
    """The frame of the messages.

    Attributes:
        frame_id: its name.
        from_camera: from the camera's optical frame to it; None where it is not known.
        up: (3,) unit vector in it.
    """

    frame_id: str
    from_camera: RigidTransform | None
    up: FloatArray


@dataclass(frozen=True)
class PlacedTarget:
    """One target as messages need it.

    Attributes:
        box: what the tracker says of it.
        located: where it is, in the camera's optical frame.
    """

    box: RotatedBox
    located: Located


def target_pose(target: PlacedTarget, frame: OutputFrame) -> TargetPose:
    """One target in the frame of the output."""
    box, located = target.box, target.located
    message = TargetPose(
        target_id=box.target_id,
        label=box.label,
        state=box.state,
        confidence=box.confidence,
        source=int(located.source),
    )
    if located.bearing is not None:
        message.bearing = _vector(located.bearing)
    if located.position is None or frame.from_camera is None:
        if located.position is not None:
            message.source = int(Source.BEARING if located.bearing is not None else Source.NONE)
        return message
    to_frame = frame.from_camera
    position = to_frame.points(located.position)
    away = position - to_frame.translation
    message.pose.pose.position = _point(position)
    message.pose.pose.orientation = Quaternion(**facing(away, frame.up)._asdict())
    message.pose.covariance = _six(
        to_frame.covariance(located.position_covariance), _turn_variance(located)
    )
    message.velocity.twist.linear = _vector(to_frame.directions(located.velocity))
    message.velocity.covariance = _six(to_frame.covariance(located.velocity_covariance), 0.0)
    message.samples = located.samples
    message.age = located.age_s
    return message


def target_pose_array(
    header: Header, camera_frame: str, poses: Sequence[TargetPose]
) -> TargetPoseArray:
    """All targets of an image; `header` has the output's frame."""
    return TargetPoseArray(header=header, camera_frame=camera_frame, targets=list(poses))


def has_position(pose: TargetPose) -> bool:
    """Position and velocity are more than zeros."""
    return pose.source not in (TargetPose.NONE, TargetPose.BEARING)


def pose_stamped(header: Header, pose: TargetPose) -> PoseStamped:
    """For those that follow a pose; only of a target that has a position."""
    return PoseStamped(header=header, pose=pose.pose.pose)


def pose_with_covariance(header: Header, pose: TargetPose) -> PoseWithCovarianceStamped:
    """The same with its covariance."""
    return PoseWithCovarianceStamped(header=header, pose=pose.pose)


def transform(header: Header, pose: TargetPose, child_frame: str) -> TransformStamped:
    """The target as a frame of its own."""
    message = TransformStamped(header=header, child_frame_id=child_frame)
    place = pose.pose.pose.position
    message.transform.translation = Vector3(x=place.x, y=place.y, z=place.z)
    message.transform.rotation = pose.pose.pose.orientation
    return message


def point_cloud(header: Header, points: FloatArray) -> PointCloud2:
    """(N, 3) metres as `sensor_msgs_py.point_cloud2.create_cloud_xyz32` makes it."""
    layout = CloudLayout.of(points)
    message = PointCloud2(
        header=header,
        height=1,
        width=len(layout.data),
        is_dense=layout.is_dense,
        is_bigendian=layout.is_bigendian,
        point_step=layout.point_step,
        row_step=layout.point_step * len(layout.data),
    )
    message.fields = [
        PointField(name=name, offset=offset, datatype=layout.datatype, count=1)
        for name, offset in zip(layout.names, layout.offsets, strict=True)
    ]
    held = array("B")
    held.frombytes(memoryview(layout.data).cast("B") if layout.data.size else b"")
    message.data = held
    return message


def target_markers(
    header: Header,
    poses: Sequence[TargetPose],
    camera: tuple[str, RigidTransform | None],
    lifetime_s: float,
) -> MarkerArray:
    """A ball, its velocity and its name for each target; an arrow where only the bearing is known.

    Args:
        header: of the poses.
        poses: one a target.
        camera: name of the optical frame, and its transform to the frame of the poses.
        lifetime_s: after so many seconds without newer ones the markers are gone.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for pose in poses:
        common = {
            "id": pose.target_id,
            "action": Marker.ADD,
            "color": _colour(pose),
            "lifetime": Duration(seconds=lifetime_s).to_msg(),
        }
        if has_position(pose):
            place, velocity = pose.pose.pose.position, pose.velocity.twist.linear
            markers.append(_ball(Marker(header=header, ns="position", **common), place))
            if math.hypot(velocity.x, velocity.y, velocity.z) >= LEAST_SPEED:
                arrow = Marker(header=header, ns="velocity", **common)
                end = _moved(place, velocity, VELOCITY_SECONDS)
                markers.append(_arrow(arrow, place, end))
            text = Marker(header=header, ns="label", **common)
            markers.append(_text(text, place, caption(pose, camera[1])))
        elif pose.source == TargetPose.BEARING:
            own = Header(stamp=header.stamp, frame_id=camera[0])
            arrow = Marker(header=own, ns="bearing", **common)
            markers.append(_arrow(arrow, Point(), _moved(Point(), pose.bearing, BEARING_M)))
    return MarkerArray(markers=markers)


def caption(pose: TargetPose, camera: RigidTransform | None) -> str:
    """Id, label, distance from the camera, and where the position is from if not from depth."""
    place = pose.pose.pose.position
    origin = camera.translation if camera is not None else np.zeros(3)
    away = math.dist((place.x, place.y, place.z), origin.tolist())
    words = [str(pose.target_id), pose.label, f"{away:.2f} m"]
    if pose.source in (TargetPose.GROUND, TargetPose.PREDICTED):
        words.append(Source(pose.source).name.lower())
    return " ".join(word for word in words if word)


def _turn_variance(located: Located) -> float:
    """Square radians by which the direction to the target may be wrong."""
    assert located.position is not None
    away = float(np.linalg.norm(located.position))
    ray = located.position / away
    across = np.trace(located.position_covariance) - ray @ located.position_covariance @ ray
    return float(max(across, 0.0)) / 2 / away**2


def _six(linear: FloatArray, angular: float) -> FloatArray:
    """(36,) of a (3, 3) covariance and the variance of each turn."""
    both = np.zeros((6, 6))
    both[:3, :3] = linear
    both[3:, 3:] = np.eye(3) * angular
    return both.ravel()


def _point(place: FloatArray) -> Point:
    x, y, z = place.tolist()
    return Point(x=x, y=y, z=z)


def _vector(direction: FloatArray) -> Vector3:
    x, y, z = direction.tolist()
    return Vector3(x=x, y=y, z=z)


def _moved(place: Point, direction: Vector3, factor: float) -> Point:
    return Point(
        x=place.x + direction.x * factor,
        y=place.y + direction.y * factor,
        z=place.z + direction.z * factor,
    )


def _colour(pose: TargetPose) -> ColorRGBA:
    red, green, blue = state_rgb(TargetStatus(pose.state))
    alpha = 0.5 if pose.source == TargetPose.PREDICTED else 1.0
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)


def _ball(marker: Marker, place: Point) -> Marker:
    marker.type = Marker.SPHERE
    marker.pose.position = place
    marker.pose.orientation.w = 1.0
    marker.scale = Vector3(x=BALL_M, y=BALL_M, z=BALL_M)
    return marker


def _arrow(marker: Marker, start: Point, end: Point) -> Marker:
    marker.type = Marker.ARROW
    marker.points = [start, end]
    marker.pose.orientation.w = 1.0
    marker.scale = Vector3(x=ARROW_M, y=2 * ARROW_M, z=0.0)
    return marker


def _text(marker: Marker, place: Point, text: str) -> Marker:
    marker.type = Marker.TEXT_VIEW_FACING
    marker.text = text
    marker.pose.position = place
    marker.pose.orientation.w = 1.0
    marker.scale.z = TEXT_M
    return marker
