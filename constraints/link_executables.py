"""Link console scripts to ``lib/<package>/``, where ``ros2 run`` and ``ros2 launch`` look.

pip puts them into ``bin/``; colcon obeys ``setup.cfg`` and needs none of this.
"""

from __future__ import annotations

import sys
from importlib.metadata import distribution
from pathlib import Path


def main() -> None:
    prefix = Path(sys.prefix)
    for folder in sys.argv[1:]:
        name = next(Path(folder).glob("resource/*")).name
        for entry in distribution(name).entry_points.select(group="console_scripts"):
            link = prefix / "lib" / name / entry.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(Path("../../bin") / entry.name)


if __name__ == "__main__":
    main()
