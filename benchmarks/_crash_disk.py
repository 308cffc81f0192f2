"""A disk that forgets: notes what a process forces to it, and afterwards leaves only that.

As a program it is ``recorder_node`` on such a disk (the journal's path is in the environment);
``cut_power`` then does to the files what a power cut may: bytes that were not forced are gone,
and so are names (new files, renames) of a folder that was not forced since.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

JOURNAL = "ARMTUNE_CRASH_JOURNAL"


def note_syncs(journal: Path) -> None:
    """From now on note, for each fsync of this process, what it made durable."""
    file, lock = open(journal, "a", buffering=1), threading.Lock()

    def noting(real: Any) -> Any:
        def sync(descriptor: int) -> None:
            found = os.fstat(descriptor)
            entry: dict[str, Any] = {"inode": found.st_ino, "size": found.st_size}
            if stat.S_ISDIR(found.st_mode):
                folder = str(Path(f"/proc/self/fd/{descriptor}").readlink())
                entry = {"folder": folder, "names": {e.name: e.inode() for e in os.scandir(folder)}}
            real(descriptor)
            with lock:
                file.write(json.dumps(entry) + "\n")

        return sync

    os.fsync, os.fdatasync = noting(os.fsync), noting(os.fdatasync)


def cut_power(folder: Path, journal: Path, is_zeroed: bool = False) -> None:
    """Leave of a folder's files what the journal says was durable.

    ``is_zeroed``: the files keep their length, and what was not forced reads as zeros, as where a file
    system wrote the size before the bytes.
    """
    sizes: dict[int, int] = {}
    names: dict[str, int] = {}
    for line in journal.read_text().splitlines() if journal.exists() else ():
        if not line.endswith("}"):
            break
        entry = json.loads(line)
        if "inode" in entry:
            sizes[entry["inode"]] = entry["size"]
        elif Path(entry["folder"]).resolve() == folder.resolve():
            names = entry["names"]
    there = {path.stat().st_ino: path for path in folder.glob("*.mcap*")} if folder.is_dir() else {}
    durable = {inode: name for name, inode in names.items()}
    for inode, path in there.items():
        if inode not in durable:
            path.unlink()
            continue
        size = path.stat().st_size
        os.truncate(path, min(sizes.get(inode, 0), size))
        if is_zeroed:
            os.truncate(path, size)
        if path.name != durable[inode]:
            path.rename(folder / durable[inode])


def end_with(parent: int) -> None:
    """End when the benchmark does: a recorder left behind would answer for the next one on its domain."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with(os.getppid())
    note_syncs(Path(os.environ[JOURNAL]))
    from armtune_runtime.recorder_node import main

    main()
