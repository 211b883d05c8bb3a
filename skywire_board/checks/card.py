"""Does the card take what is written? The kernel counts ext4's errors, and makes the data read-only after one.

Sources: Documentation/ABI/testing/sysfs-fs-ext4, proc_pid_mountinfo(5).
"""

from pathlib import Path

from skywire_board.checks.files import read_number
from skywire_board.model import Severity, Trouble
from skywire_board.patterns import cause_of

CODE = "card-fault"


def check_card(root: Path = Path("/")) -> Trouble | None:
    """None when no ext4 has counted an error and the data are writable."""
    if "/data" in _read_only(root / "proc/self/mountinfo"):
        return _fault("the data partition has become read-only after an error")
    for path in sorted((root / "sys/fs/ext4").glob("*/errors_count")):
        errors = read_number(path) or 0
        if errors:
            return _fault(f"{errors} errors on '{path.parent.name}'")
    return None


def _read_only(mountinfo: Path) -> list[str]:
    """Where an ext4 is mounted that is read-only itself; the mount's own flag says nothing, our sandbox sets it."""
    try:
        lines = mountinfo.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        mount, _, system = line.partition(" - ")
        words = system.split()
        if len(words) == 3 and words[0] == "ext4" and "ro" in words[2].split(","):
            found.append(mount.split()[4])
    return found


def _fault(text: str) -> Trouble:
    cause = cause_of(CODE)
    return Trouble(CODE, cause.title, Severity.FAULT, text, blinks=cause.blinks)
