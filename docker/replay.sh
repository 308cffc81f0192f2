#!/usr/bin/env bash
# Replays the Dockerfile's colcon step with the ROS wheels of .venv where no container engine exists,
# and compares the programs it installs with those pip installed.
#   docker/replay.sh [empty folder to build in [options of colcon build]]
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(realpath -m "${1:-$(mktemp -d)}")
shift $(($# > 0))
venv=$(realpath "${ARMTUNE_VENV:-.venv}")
mkdir -p "$scratch"

export AMENT_PREFIX_PATH=$venv PATH=$venv/bin:$PATH
unset PYTHONPATH
"$venv/bin/python" -c "import colcon_core" 2>/dev/null ||
  { echo "no colcon in $venv: .venv/bin/pip install -r constraints/dev.txt" >&2; exit 1; }

step=$(sed -n 's/^RUN .*&& \(colcon build .*\)$/\1/p' Dockerfile)
[ -n "$step" ] || { echo "Dockerfile has no 'colcon build' step" >&2; exit 1; }
step=${step/#colcon build/python -m colcon --log-base $scratch/log build --build-base $scratch/build}
step=${step//\/opt\/armtune/$scratch/install}
wheels=$(realpath ros_ws/src/armtune_interfaces/cmake/pip_wheels.cmake)
echo "+ $step"
# Ninja: make waits for an idle machine when colcon starts it, and two cores never are.
# shellcheck disable=SC2086  # the step is words
$step -GNinja -DCMAKE_PROJECT_INCLUDE="$wheels" -DPython3_EXECUTABLE="$venv/bin/python" "$@" >"$scratch/colcon.log" 2>&1 ||
  { tail -40 "$scratch/colcon.log" >&2; exit 1; }

programs() { (cd "$1" && find lib/armtune_* -maxdepth 1 \( -type f -o -type l \) -perm -u+x -not -name '*.so*' | sort); }
programs "$scratch/install" >"$scratch/colcon.txt"
programs "$venv" >"$scratch/pip.txt"
diff "$scratch/pip.txt" "$scratch/colcon.txt" || { echo "pip (<) and colcon (>) install different programs" >&2; exit 1; }

set +u
source "$scratch/install/setup.bash"
set -u
"$scratch/install/lib/armtune_bringup/armtune" config show >/dev/null
"$venv/bin/python" -c "
import importlib, pathlib, sys
for package in pathlib.Path('$scratch/install/share').glob('armtune_*'):
    found = importlib.import_module(package.name).__file__
    if not found.startswith('$scratch/install'): sys.exit(f'{found} is not what colcon built')
"
echo "colcon and pip install the same $(wc -l <"$scratch/colcon.txt") programs"
