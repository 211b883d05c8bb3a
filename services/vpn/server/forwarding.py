"""The door to what the kernel forwards: switched on for the interfaces that need it, and put back as it was found. What
was found is kept in RAM, so a killed server's successor puts back the same.

IPv4 knows it by interface. IPv6 does from Linux 6.17 on; before, it is on for all since the node forwards, and nothing
is left to do here.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

from services.kernel.errors import DoorError
from services.node.kept import Kept

log = logging.getLogger(__name__)

NET = Path("/proc/sys/net")
_FILE = "forwarding"


def needed(devices4: Iterable[str], devices6: Iterable[str]) -> set[str]:
    """The switches, as paths below /proc/sys/net."""
    four = {f"ipv4/conf/{name}/forwarding" for name in devices4}
    return four | {f"ipv6/conf/{name}/force_forwarding" for name in devices6}


class Switches:
    def __init__(self, ram: Kept, net: Path = NET) -> None:
        self._ram, self._net = ram, net
        self._found = ram.read(_FILE, dict[str, str]) or {}

    def turn(self, wanted: set[str]) -> None:
        """These are on; those that need not be any more are as they were found. Raises DoorError, KeptError."""
        there = {name for name in wanted if (self._net / name).exists()}
        new = {name: value for name in there - set(self._found) if (value := self._read(name)) == "0"}
        if new:
            self._found |= new
            self._ram.write(_FILE, self._found)
        for name in there:
            if self._read(name) != "1":
                self._write(name, "1")
        self._put_back(set(self._found) - wanted)

    def _put_back(self, names: set[str]) -> None:
        for name in names:
            value = self._found.pop(name)
            if (self._net / name).exists():
                self._write(name, value)
        if names:
            self._ram.write(_FILE, self._found)

    def _read(self, name: str) -> str:
        with contextlib.suppress(OSError):
            return (self._net / name).read_text().strip()
        return ""

    def _write(self, name: str, value: str) -> None:
        path = self._net / name
        try:
            path.write_text(value)
        except FileNotFoundError:
            log.info("'%s' is gone", path)
        except OSError as error:
            raise DoorError(f"cannot set '{path}' to '{value}': {error.strerror}") from None
