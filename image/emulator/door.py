"""QEMU's two control sockets: QMP (JSON lines) and qtest (text lines). Five verbs, no decisions."""

import contextlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

from image.errors import EmulatorError, NobodyError

DEADLINE_S = 60


class LineSocket:
    """A UNIX socket that is spoken to in lines, with a deadline on each answer."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(DEADLINE_S)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise NobodyError(f"no emulator answers at '{path}' ({error.strerror})") from error
        self._file = self._socket.makefile("rw")

    def say(self, line: str) -> None:
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            raise EmulatorError("the emulator has ended") from error

    def hear(self) -> str:
        try:
            line = self._file.readline()
        except OSError as error:
            raise EmulatorError(f"the emulator gave no answer within {DEADLINE_S} s") from error
        if not line:
            raise EmulatorError("the emulator has ended")
        return line.strip()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # a line that an ended emulator did not take
            self._file.close()
        self._socket.close()


class Qmp:
    """QEMU Machine Protocol: `ask` a command, get its return value."""

    def __init__(self, path: Path) -> None:
        self._line = LineSocket(path)
        self._line.hear()
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        self._line.say(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = json.loads(self._line.hear())
            if "error" in answer:
                raise EmulatorError(f"QEMU refused '{command}': {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]

    def find(self, kind: str) -> str:
        """QOM path of the first device of a type, such as 'pl061'."""
        for folder in ("/machine/unattached", "/machine"):
            for entry in self.ask("qom-list", path=folder):
                if entry["type"] == f"child<{kind}>":
                    return f"{folder}/{entry['name']}"
        raise EmulatorError(f"this machine has no '{kind}'")

    def close(self) -> None:
        self._line.close()


class Qtest:
    """QEMU's test protocol: reads and writes guest physical memory, here registers, while the guest runs."""

    def __init__(self, path: Path) -> None:
        self._line = LineSocket(path)
        self._lock = threading.Lock()

    def _ask(self, command: str) -> list[str]:
        with self._lock:
            self._line.say(command)
            while True:
                words = self._line.hear().split()
                if words and words[0] in {"OK", "FAIL", "ERR"}:
                    break
        if words[0] != "OK":
            raise EmulatorError(f"QEMU refused '{command}': {' '.join(words)}")
        return words[1:]

    def read(self, address: int) -> int:
        return int(self._ask(f"readl {address:#x}")[0], 16)

    def write(self, address: int, value: int) -> None:
        self._ask(f"writel {address:#x} {value:#x}")

    def drive_input(self, path: str, number: int, level: bool) -> None:
        """Puts a level on an input line of the device at a QOM path."""
        self._ask(f"set_irq_in {path} unnamed-gpio-in {number} {int(level)}")

    def close(self) -> None:
        self._line.close()
