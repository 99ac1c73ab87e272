"""Whether the kernel has killed for want of memory: what the counters of this process's control group say.

The files are `memory.events` (control groups of version 2) and `memory.oom_control` (version 1); both have a line
`oom_kill N`. A machine without them never says that memory was the reason.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

MOUNT = Path("/sys/fs/cgroup")
GROUPS = Path("/proc/self/cgroup")


def counter(groups: Path = GROUPS, mount: Path = MOUNT) -> Path | None:
    """The file that counts for this process; None: there is none here."""
    try:
        lines = groups.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        home, name = (mount / "memory", "memory.oom_control") if controllers else (mount, "memory.events")
        # In a container the path may be the host's while the mount shows the group itself: its parents lead there.
        for place in (PurePosixPath(path), *PurePosixPath(path).parents):
            file = home / str(place).lstrip("/") / name
            if file.is_file():
                return file
    return None


class Kills:
    """Asked when a worker was killed by nobody that is known."""

    def __init__(self) -> None:
        self._file = counter()
        self._count = self._read()

    def more(self) -> bool:
        """Whether there has been one since this was asked last."""
        before, self._count = self._count, self._read()
        return self._count > before

    def _read(self) -> int:
        if self._file is None:
            return 0
        try:
            lines = self._file.read_text(encoding="ascii").splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
