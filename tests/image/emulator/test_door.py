"""QEMU's sockets when QEMU is gone: a clear error, and nothing left open (an unclosed socket fails the test)."""

import socket
from pathlib import Path

import pytest

from image.emulator.door import LineSocket
from image.errors import EmulatorError


def test_an_ended_emulator_is_told_and_its_socket_can_be_closed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "qmp.sock"))
        server.listen()
        line = LineSocket(tmp_path / "qmp.sock")
        server.accept()[0].close()
        with pytest.raises(EmulatorError, match="has ended"):
            line.say("hello")
        line.close()


def test_no_emulator_is_told_with_the_socket_that_was_tried(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match=r"no emulator answers at '.*qmp\.sock'"):
        LineSocket(tmp_path / "qmp.sock")
