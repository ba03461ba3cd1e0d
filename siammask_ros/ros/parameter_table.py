# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node's parameters as one table, from which they are declared, checked and documented."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from enum import Enum
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.parameter import Parameter

KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple: "a list of texts",
}
Table = TypeVar("Table", bound="ParameterTable")


class Changes(Enum):
    """When a parameter may change."""

    NEVER = "read-only: given at start"
    UNCONFIGURED = "while the node is unconfigured"
    ANY_TIME = "at any time"


@dataclass(frozen=True)
class Rule:
    """What is known of a parameter besides its default."""

    description: str
    changes: Changes
    lowest: float | None = None
    highest: float | None = None
    choices: tuple[str, ...] = ()


def parameter(
    default: Any,
    description: str,
    *,
    changes: Changes = Changes.UNCONFIGURED,
    between: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of a `ParameterTable`."""
    lowest, highest = between or (None, None)
    rule = Rule(description, changes, lowest, highest, choices)
    return field(default=default, metadata={"rule": rule})


@dataclass(frozen=True)
class ParameterTable:
    """Base of a node's parameters: each field is one, made by `parameter`.

    Raises:
        ValueError: a value is out of range, or none of the choices.
    """

    def __post_init__(self) -> None:
        for entry in fields(self):
            self._check(entry)

    @classmethod
    def rules(cls) -> dict[str, Rule]:
        """What is known of each parameter besides its default, by name."""
        return {entry.name: entry.metadata["rule"] for entry in fields(cls)}

    @classmethod
    def declare(cls, node: Node) -> None:
        """Declare every parameter with its description, range and default.

        Raises:
            rclpy.exceptions.ParameterException: a given value has the wrong type or is out of
                range.
        """
        for entry in fields(cls):
            default = list(entry.default) if isinstance(entry.default, tuple) else entry.default
            declared = node.declare_parameter(entry.name, default, _descriptor(entry))
            try:
                value = typed_value(entry, declared.value)
            except ValueError as error:
                raise InvalidParameterTypeException(declared, KINDS[type(entry.default)]) from error
            if isinstance(value, float) and not isinstance(declared.value, float):
                node.set_parameters([Parameter(entry.name, value=value)])
        if hasattr(node, "add_pre_set_parameters_callback"):  # not in Humble
            node.add_pre_set_parameters_callback(cls._with_decimals)

    @classmethod
    def read(cls: type[Table], node: Node) -> Table:  # noqa: PYI019 - Self is of Python 3.11
        """The present values.

        Raises:
            ValueError: a value is not allowed; the text names it.
        """
        return cls(
            **{
                entry.name: typed_value(entry, node.get_parameter(entry.name).value)
                for entry in fields(cls)
            }
        )

    @classmethod
    def restore_types(cls, node: Node) -> None:
        """Describe each parameter by its type: rclpy takes over that of a refused value."""
        for entry in fields(cls):
            type_ = node.get_parameter(entry.name).type_
            node.describe_parameter(entry.name).type = type_.value

    def changed(  # noqa: PYI019 - Self is of Python 3.11
        self: Table, values: Mapping[str, Any], *, configured: bool
    ) -> Table:
        """The settings after a change, all of it or nothing.

        Args:
            values: new values by name; names of other parameters are passed over.
            configured: the node has left the state unconfigured.

        Raises:
            ValueError: a value is out of range, or cannot change now.
        """
        rules = self.rules()
        known = {
            entry.name: typed_value(entry, values[entry.name])
            for entry in fields(self)
            if entry.name in values
        }
        for name, value in known.items():
            rule = rules[name]
            fixed = rule.changes is Changes.UNCONFIGURED and configured
            if value != getattr(self, name) and (fixed or rule.changes is Changes.NEVER):
                raise ValueError(
                    f"{name} can only be changed {rule.changes.value}"
                    + (": deactivate and clean up first" if fixed else "")
                )
        return replace(self, **known)

    def _check(self, entry: Field[Any]) -> None:
        rule, value = entry.metadata["rule"], getattr(self, entry.name)
        if rule.choices and value not in rule.choices:
            raise ValueError(
                f"{entry.name} must be one of {', '.join(rule.choices)}, got {value!r}"
            )
        if rule.lowest is not None and not rule.lowest <= value <= rule.highest:
            raise ValueError(
                f"{entry.name} must be {rule.lowest:g} to {rule.highest:g}, got {value!r}"
            )

    @classmethod
    def _with_decimals(cls, parameters: list[Parameter]) -> list[Parameter]:
        """Parameters with numbers of the type they were declared with."""
        decimal = {entry.name for entry in fields(cls) if isinstance(entry.default, float)}
        return [
            Parameter(given.name, value=float(given.value))
            if given.name in decimal and type(given.value) is int
            else given
            for given in parameters
        ]


def typed_value(entry: Field[Any], value: Any) -> Any:
    """A parameter's value as a table holds it; a whole number will do for any number.

    ROS 2 would refuse it, and without a word on which type is meant: hence the descriptors leave
    the type open.

    Raises:
        ValueError: it is of another type.
    """
    kind = type(entry.default)
    held = tuple(value) if isinstance(value, (list, array)) else value
    if kind is float and type(held) is int:
        return float(held)
    strange = type(held) is not kind
    if strange or (kind is tuple and not all(isinstance(text, str) for text in held)):
        shown = list(held) if isinstance(held, tuple) else held
        raise ValueError(f"{entry.name} must be {KINDS[kind]}, got {shown!r}")
    return held


def _descriptor(entry: Field[Any]) -> ParameterDescriptor:
    rule: Rule = entry.metadata["rule"]
    constraints = f"one of {', '.join(rule.choices)}; " if rule.choices else ""
    descriptor = ParameterDescriptor(
        description=rule.description,
        additional_constraints=f"{constraints}may change {rule.changes.value}",
        read_only=rule.changes is Changes.NEVER,
        dynamic_typing=True,  # see typed_value
    )
    if rule.lowest is not None and rule.highest is not None:
        if isinstance(entry.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=rule.lowest, to_value=rule.highest)
            ]
        else:
            descriptor.integer_range = [
                IntegerRange(from_value=int(rule.lowest), to_value=int(rule.highest))
            ]
    return descriptor
