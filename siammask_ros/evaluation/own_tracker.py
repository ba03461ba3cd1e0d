# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A user's own tracker, found by a name such as `my_package.tracker:MyTracker`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from siammask_ros.evaluation.protocol import LabelledSequence, Tracker

_METHODS = ("initialize", "track")


@dataclass(frozen=True)
class OwnTracker:
    """Makes a user's tracker for each sequence. Pickles, for several jobs.

    Attributes:
        name: `module:attribute` or `folder/file.py:attribute`; modules are looked for in the
            current folder too. The attribute is called with the weights, a class or a function,
            and returns a tracker (`Tracker`); or it is a tracker itself.
        weights: paths that it is called with.

    Raises:
        ValueError: the name is something else, there is no such module or attribute, or weights
            are given to a tracker that is made already.
    """

    name: str
    weights: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if _is_tracker(_attribute(self.name)) and self.weights:
            raise ValueError(f"{self.name} is a tracker already, it takes no weights")

    def __call__(self, sequence: LabelledSequence) -> Tracker[Any]:
        """A tracker.

        Raises:
            ValueError: what was made has no initialize or no track.
        """
        del sequence
        found = _attribute(self.name)
        tracker = found if _is_tracker(found) else found(*self.weights)
        for method in _METHODS:
            if not callable(getattr(tracker, method, None)):
                kind = type(tracker).__name__
                raise ValueError(f"{self.name} makes a {kind}, which has no method {method}")
        made: Tracker[Any] = tracker
        return made


def names_own_tracker(name: str) -> bool:
    """Whether a tracker's name is one of a user's own: there is a colon in it."""
    return ":" in name


def _is_tracker(found: object) -> bool:
    """Whether this is a tracker, not what makes one."""
    made = not isinstance(found, type)
    return made and all(callable(getattr(found, method, None)) for method in _METHODS)


def _attribute(name: str) -> Any:  # noqa: ANN401 - the user's
    place, _, attribute = name.rpartition(":")
    if not place or not attribute:
        raise ValueError(f"expected module:name or file.py:name, got {name!r}")
    module = _module(place)
    if not hasattr(module, attribute):
        raise ValueError(f"{place} has no {attribute}")
    found = getattr(module, attribute)
    if not callable(found) and not _is_tracker(found):
        raise ValueError(f"{name} is no tracker, and cannot be called to make one")
    return found


def _module(place: str) -> ModuleType:
    path = Path(place)
    if path.suffix != ".py":
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise  # the user's module needs another that is not there
        path = Path(*place.split(".")).with_suffix(".py")
    if not path.is_file():
        raise ValueError(f"there is no module {place}, nor a file {path}")
    return _module_of_file(path.resolve())


def _module_of_file(path: Path) -> ModuleType:
    """The module of a file, run once; it has the path as its name."""
    name = str(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses, among others, look for it there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
