# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of a package that are loaded on first use, so that importing it costs nothing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def names_of(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package (PEP 562).

    Args:
        package: its dotted name.
        homes: the module of the package's names, by name.
    """

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        exported: object = getattr(importlib.import_module(homes[name]), name)
        return exported

    return load
