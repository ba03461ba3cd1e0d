# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The environment that `make setup` made, for the ROS 2 that is sourced, else
# for ROS_DISTRO (default kilted).
#   . tools/env.sh              enter it in this shell (bash or zsh)
#   bash tools/env.sh COMMAND   run one command in it

if [ -n "${ZSH_VERSION:-}" ]; then
    _siammask_tools="${${(%):-%x}:A:h}"
else
    _siammask_tools="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
fi
if [ -n "${BASH_VERSION:-}" ] && [ "${BASH_SOURCE[0]}" = "$0" ]; then
    [ $# -gt 0 ] || { echo "usage: . tools/env.sh, or: bash tools/env.sh COMMAND" >&2; exit 2; }
    exec python3 "${_siammask_tools}/setup_environment.py" run "$@"
fi
_siammask_lines="$(python3 "${_siammask_tools}/setup_environment.py" environment)" &&
    eval "${_siammask_lines}"
unset _siammask_tools _siammask_lines
