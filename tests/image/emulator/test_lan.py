"""The switch between emulated boards, with plugs of its own in it instead of boards."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from select import select

import pytest

from image.emulator.lan import Lan
from image.run import Runner
from image.tools import BOOT, SWITCH, install_tools

pytestmark = [pytest.mark.image, pytest.mark.timeout(60)]

ONE, TWO, THREE = (bytes.fromhex(f"52540000000{number}") for number in (1, 2, 3))
ALL = b"\xff" * 6
OURS, ARP = b"\x88\xb5", b"\x08\x06"
ROUTER = bytes([192, 168, 77, 2])
ASK_AGAIN_S = 0.2


class Plug:
    """A wire with our hands at its end; frames have their length in front (vde_plug's way)."""

    def __init__(self, process: "subprocess.Popen[bytes]", address: bytes) -> None:
        """Asks for the router, by ARP: who is answered is on the switch."""
        assert process.stdout is not None
        self._process, self._address = process, address
        asked = (
            bytes.fromhex("0001080006040001") + address + bytes([192, 168, 77, 100 + address[-1]]) + bytes(6) + ROUTER
        )
        while not select([process.stdout], [], [], ASK_AGAIN_S)[0]:
            self.send(ALL, asked, ARP)
        self.hears(ARP)

    def send(self, to: bytes, word: bytes, kind: bytes = OURS) -> None:
        frame = to + self._address + kind + word.ljust(46, b".")
        assert self._process.stdin is not None
        self._process.stdin.write(len(frame).to_bytes(2, "big") + frame)
        self._process.stdin.flush()

    def hears(self, kind: bytes = OURS) -> bytes:
        """The next word of ours; of ARP, the answer."""
        assert self._process.stdout is not None
        while True:
            frame = self._process.stdout.read(int.from_bytes(self._process.stdout.read(2), "big"))
            if frame[12:14] == kind and (kind == OURS or frame[:6] == self._address):
                return frame[14:].rstrip(b".")


@contextmanager
def plugged(lan: Lan, address: bytes) -> Iterator[Plug]:
    words = ["vde_plug", lan.netdev.partition("sock=")[2]]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Plug(process, address)
        finally:
            process.terminate()


def test_a_frame_reaches_whom_it_is_for_alone_and_never_its_sender(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        install_tools(Runner(log, 0), BOOT | SWITCH)
    with Lan(tmp_path / "lan.log") as lan, ExitStack() as plugs:
        one, two, three = (plugs.enter_context(plugged(lan, address)) for address in (ONE, TWO, THREE))
        one.send(ALL, b"one is here")
        assert two.hears() == three.hears() == b"one is here"
        two.send(ONE, b"for one")
        two.send(ALL, b"for all")
        assert [one.hears(), one.hears()] == [b"for one", b"for all"]
        assert three.hears() == b"for all"
        three.send(TWO, b"for two")
        assert two.hears() == b"for two"
        one.send(ALL, b"the end")
        assert two.hears() == three.hears() == b"the end"
