"""Descriptors that outlive the starter: systemd keeps a copy of each and hands it back when it starts us anew.

A program then never reads an end of file, even between the starter's death and its return. Without systemd, in
laboratories, the starter keeps them alone.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Mapping

import msgspec

log = logging.getLogger(__name__)

FIRST_FD = 3
_NAME = re.compile(r"in-([0-9]+)")


class Given(msgspec.Struct, frozen=True):
    """What systemd started us with: the listening socket, if any, and the inputs kept for us, by id."""

    listener: int | None
    inputs: dict[int, int]


def read_given(environment: Mapping[str, str], pid: int) -> Given:
    """From LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES; a descriptor with no name is the socket."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(pid) or not count.isdigit():
        return Given(None, {})
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    listener, inputs = None, {}
    for place in range(int(count)):
        match = _NAME.fullmatch(names[place]) if place < len(names) else None
        if match:
            inputs[int(match[1])] = FIRST_FD + place
        elif listener is None:
            listener = FIRST_FD + place
    return Given(listener, inputs)


class Held:
    """The inputs' descriptors, by id; those given are held already."""

    def __init__(self, inputs: dict[int, int]) -> None:
        self._inputs = dict(inputs)
        for fd in inputs.values():
            os.set_inheritable(fd, False)

    def __contains__(self, app_id: int) -> bool:
        return app_id in self._inputs

    def keep(self, app_id: int, fd: int) -> None:
        self._inputs[app_id] = fd
        _tell(f"FDSTORE=1\nFDPOLL=0\nFDNAME=in-{app_id}", [fd])

    def drop(self, app_id: int) -> None:
        fd = self._inputs.pop(app_id, None)
        if fd is not None:
            os.close(fd)
            _tell(f"FDSTOREREMOVE=1\nFDNAME=in-{app_id}", [])


def _tell(text: str, fds: list[int]) -> None:
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        try:
            systemd.connect("\0" + path[1:] if path.startswith("@") else path)
            socket.send_fds(systemd, [text.encode()], fds)
        except OSError as error:
            log.warning("cannot tell systemd %s: %s", text.partition("=")[0], error)
