"""The switch between emulated boards: a multicast group on loopback that carries Ethernet frames, and DHCP on it.

The server is QEMU's own user network without a machine behind it. It hands out addresses of 192.168.77.0/24 and no
gateway, so that a board's way to the outside stays its first interface.
"""

import signal
import subprocess
import zlib
from pathlib import Path
from types import TracebackType

from image.run import Runner

GROUP = "230.83.75.89"
NETWORK = "192.168.77.0/24"
END_S = 10


class Lan:
    """A switch that boards are put on with `Board(..., lan=lan)`; enter it to have addresses handed out."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self._log = port, log

    @property
    def netdev(self) -> str:
        """QEMU's word for a plug of this switch, without its id."""
        return f"socket,mcast={GROUP}:{self.port},localaddr=127.0.0.1"

    def __enter__(self) -> "Lan":
        words = [
            "qemu-system-aarch64", "-M", "none", "-display", "none", "-monitor", "none", "-nodefaults",
            "-netdev", f"user,id=router,net={NETWORK},restrict=on,ipv6=off", "-netdev", f"{self.netdev},id=switch",
            "-netdev", "hubport,hubid=0,id=one,netdev=router", "-netdev", "hubport,hubid=0,id=two,netdev=switch",
        ]  # fmt: skip
        with self._log.open("a") as log:
            Runner(log, 0).say("$ " + " ".join(words))
            self._router = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._router.send_signal(signal.SIGTERM)
        try:
            self._router.wait(END_S)
        except subprocess.TimeoutExpired:
            self._router.kill()
            self._router.wait()


def hardware_address(name: str, interface: int) -> str:
    """A locally administered MAC address that is the same for a name at each power-on."""
    digest = zlib.crc32(name.encode()) & 0xFFFFFFFF
    tail = (digest >> 24, digest >> 16 & 0xFF, digest >> 8 & 0xFF, (digest & 0xFE) | (interface & 1))
    return ":".join(f"{byte:02x}" for byte in (0x52, 0x54, *tail))
