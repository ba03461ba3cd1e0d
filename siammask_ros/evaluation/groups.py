# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Groups of sequences, such as several hold-outs: each gets means of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FILE_SUFFIXES = (".yaml", ".yml")


class SequenceGroup(NamedTuple):
    """Some sequences under a name; a sequence may be in several groups."""

    name: str
    sequences: tuple[str, ...]


def parse_groups(text: str) -> tuple[SequenceGroup, ...]:
    """Groups from `NAME=sequence,sequence;NAME=...`, or from a YAML file of that path.

    The file (its name ends in .yaml or .yml) maps each name to a list of sequences.

    Raises:
        ValueError: the text or the file is something else, a group is empty, or a name is there
            twice.
        OSError: the file cannot be read.
    """
    if text.strip().endswith(_FILE_SUFFIXES):
        found = _read_groups(Path(text.strip()))
    else:
        found = [_parse_group(part) for part in text.split(";") if part.strip()]
    if not found:
        raise ValueError(f"no groups in {text!r}, expected NAME=sequence,sequence;NAME=...")
    for group in found:
        if not group.sequences:
            raise ValueError(f"group {group.name!r} has no sequences")
        _refuse_twice(group.sequences, f"in group {group.name!r}")
    _refuse_twice([group.name for group in found], "among the groups")
    return tuple(found)


def check_groups(groups: Iterable[SequenceGroup], names: Sequence[str]) -> None:
    """Make sure that all groups consist of the named sequences.

    Raises:
        ValueError: naming the first group that does not, and what is missing.
    """
    for group in groups:
        others = [name for name in group.sequences if name not in names]
        if others:
            raise ValueError(f"group {group.name}: not evaluated: {', '.join(others)}")


def _parse_group(text: str) -> SequenceGroup:
    name, equals, members = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"not a group: {text.strip()!r}, expected NAME=sequence,sequence")
    names = tuple(member.strip() for member in members.split(",") if member.strip())
    return SequenceGroup(name.strip(), names)


def _read_groups(path: Path) -> list[SequenceGroup]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML: {error}") from error
    if not isinstance(content, dict) or not all(
        isinstance(members, list) and all(isinstance(member, str) for member in members)
        for members in content.values()
    ):
        raise ValueError(f"{path}: not a mapping of group names to lists of sequence names")
    return [SequenceGroup(str(name), tuple(members)) for name, members in content.items()]


def _refuse_twice(names: Sequence[str], where: str) -> None:
    twice = repeated(names)
    if twice:
        raise ValueError(f"{where} twice: {', '.join(twice)}")


def repeated(names: Iterable[str]) -> list[str]:
    """The names that occur more than once, sorted."""
    seen: set[str] = set()
    twice: set[str] = set()
    for name in names:
        (twice if name in seen else seen).add(name)
    return sorted(twice)
