"""The files of the applications' output and input, in a directory that root alone can alter: PID 1 opens them
by name, and nobody can have put a link in the way.

They get the directory's group, which is viscript's: it reads the output and writes the input, and no more.
The starter keeps the outputs short and the inputs open by itself, viscript being away or not.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from viscript.errors import StartError
from viscript.launcher.process.inlet import Inlet
from viscript.launcher.process.ring import LIMIT, Ring
from viscript.launcher.starter.argv import Streams
from viscript.launcher.starter.held import Held

log = logging.getLogger(__name__)

TRIM_INTERVAL_S, FLOOD_INTERVAL_S = 0.25, 0.02
OUTPUT_MODE, INPUT_MODE = 0o640, 0o620


class Files:
    """Those in `directory`; one object, used by one thread besides the one that trims."""

    def __init__(self, directory: Path, held: Held) -> None:
        self._directory = directory
        self._held = held

    def make(self, app_id: int, *, with_input: bool) -> Streams:
        """New and empty. Raises StartError."""
        try:
            self._check_directory()
            self.remove(app_id)
            os.close(self._ring(app_id).open(OUTPUT_MODE))
            if with_input:
                self._held.keep(app_id, self._inlet(app_id).make(INPUT_MODE))
        except OSError as error:
            raise StartError(f"cannot make files in '{self._directory}': {error.strerror}") from error
        return Streams(self._ring(app_id).path, self._inlet(app_id).path if with_input else None)

    def remove(self, app_id: int) -> None:
        self._held.drop(app_id)
        self._ring(app_id).remove()
        self._inlet(app_id).remove()

    def hold_inputs(self) -> None:
        """Open what a former starter made, where systemd did not keep it for us."""
        for file in self._directory.glob("*.in"):
            if file.stem.isdigit() and file.is_fifo() and int(file.stem) not in self._held:
                self._held.keep(int(file.stem), Inlet(file).hold())

    def trim_for_ever(self) -> None:
        """In a thread of its own: systemd may take its time over a start, and another program be flooding."""
        threading.Thread(target=self._trim_for_ever, name="trim", daemon=True).start()

    def _trim_for_ever(self) -> None:
        wake, pause_s = threading.Event(), TRIM_INTERVAL_S
        while not wake.wait(pause_s):
            flooded = max((_trim(Ring(file)) for file in self._directory.glob("*.out")), default=0) > LIMIT
            pause_s = FLOOD_INTERVAL_S if flooded else TRIM_INTERVAL_S

    def _check_directory(self) -> None:
        found = self._directory.stat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise StartError(f"others can write '{self._directory}' (run: chmod go-w {self._directory})")

    def _ring(self, app_id: int) -> Ring:
        return Ring(self._directory / f"{app_id}.out")

    def _inlet(self, app_id: int) -> Inlet:
        return Inlet(self._directory / f"{app_id}.in")


def _trim(ring: Ring) -> int:
    try:
        return ring.trim()
    except OSError as error:
        log.warning("cannot trim '%s': %s", ring.path, error)
        return 0
