"""Which HDF5 files are flat arrays to learn from: D4RL's and Minari's."""

from __future__ import annotations

from pathlib import Path

MINARI = Path("data/main_data.hdf5")
"""Inside a Minari dataset's folder."""
SUFFIXES = (".hdf5", ".h5")


def is_arrays(path: Path) -> bool:
    """Return whether a path is an HDF5 file, or a Minari dataset's folder."""
    path = Path(path)
    return (path / MINARI).is_file() or (path.is_file() and path.suffix in SUFFIXES)
