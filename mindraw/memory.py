"""How much memory is left, so that what does not fit is told and not killed.

Linux gives out more memory than there is, and ends the process that then uses it.
"""

import contextlib
from pathlib import Path

PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
#: Where a container's limit stands, and what it holds: of cgroups' second version, and the first.
LIMITS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def left():
    """Return how many bytes can still be used; None where the system does not say."""
    found = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        found.append(kilobytes(PROC / "meminfo")["MemAvailable"])
    for limit, used in LIMITS:
        with contextlib.suppress(OSError, ValueError, KeyError):
            # what is kept of files gives way
            stat = dict(line.split() for line in _lines((CGROUP / used).with_name("memory.stat")))
            kept = sum(int(stat[f"{kind}active_file"]) for kind in ("", "in"))
            most, taken = (int(_lines(CGROUP / name)[0]) for name in (limit, used))
            found.append(most - taken + kept)
    return min(found, default=None)


def shared_in_use():
    """Return how many bytes of shared memory this process has touched, 0 where nobody knows."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return kilobytes(PROC / "self" / "status")["RssShmem"]
    return 0


def _lines(path):
    return path.read_text().splitlines()


def kilobytes(path):
    """Return what a file's lines of the form "name: number kB" say, in bytes by name."""
    rows = (line.split() for line in _lines(path) if line.endswith(" kB"))
    return {name.rstrip(":"): 1024 * int(number) for name, number, _ in rows}
