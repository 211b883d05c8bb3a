"""The network between emulated boards: a VDE switch, which learns who is where, and DHCP on it.

The DHCP server is QEMU's own user network without a machine behind it. It hands out addresses of 192.168.77.0/24 and no
gateway, so that a board's way to the outside stays its first interface. It answers every TCP segment that it sees with
a reset, and a board that hears itself doubts its own name and address: so it must be a switch, and neither QEMU's hub
nor its multicast group.
"""

import signal
import subprocess
import tempfile
import time
import zlib
from pathlib import Path
from types import TracebackType

from image.errors import EmulatorError
from image.run import Runner

NETWORK = "192.168.77.0/24"
BEGIN_S = END_S = 10


class Lan:
    """A switch that boards are put on with `Board(..., lan=lan)`; enter it before they are powered on. Without `dhcp`
    it is as bare as a cable between two boards, until `serve_dhcp`.
    """

    def __init__(self, log: Path, *, dhcp: bool = True) -> None:
        self._log, self._dhcp, self._running = log, dhcp, list[subprocess.Popen[bytes]]()
        self._home = tempfile.TemporaryDirectory(prefix="skywire-lan-")  # a short path, as sockets want it

    @property
    def netdev(self) -> str:
        """QEMU's word for a plug of this switch, without its id."""
        return f"vde,sock={self._home.name}"

    def __enter__(self) -> "Lan":
        try:
            self._run(["vde_switch", "-sock", self._home.name, "-mode", "600"])
            end = time.monotonic() + BEGIN_S
            while not Path(self._home.name, "ctl").exists():
                if time.monotonic() > end or self._running[0].poll() is not None:
                    raise EmulatorError(f"vde_switch does not begin (see '{self._log}')")
                time.sleep(0.02)
            if self._dhcp:
                self.serve_dhcp()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def serve_dhcp(self) -> None:
        """From now on, until the switch is closed."""
        self._run([
            "qemu-system-aarch64", "-M", "none", "-display", "none", "-monitor", "none", "-nodefaults",
            "-netdev", f"user,id=router,net={NETWORK},restrict=on,ipv6=off", "-netdev", f"{self.netdev},id=switch",
            "-netdev", "hubport,hubid=0,id=one,netdev=router", "-netdev", "hubport,hubid=0,id=two,netdev=switch",
        ])  # fmt: skip

    def close(self) -> None:
        """Again does nothing."""
        while self._running:
            with self._running.pop() as program:
                program.send_signal(signal.SIGTERM)
                try:
                    program.wait(END_S)
                except subprocess.TimeoutExpired:
                    program.kill()
        self._home.cleanup()

    def _run(self, words: list[str]) -> None:
        """With an open standard input: at its end the switch ends, so that it does not outlive us."""
        with self._log.open("a") as log:
            Runner(log, 0).say("$ " + " ".join(words))
            self._running.append(
                subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
            )


def hardware_address(name: str, interface: int) -> str:
    """A locally administered MAC address that is the same for a name at each power-on."""
    digest = zlib.crc32(name.encode()) & 0xFFFFFFFF
    tail = (digest >> 24, digest >> 16 & 0xFF, digest >> 8 & 0xFF, (digest & 0xFE) | (interface & 1))
    return ":".join(f"{byte:02x}" for byte in (0x52, 0x54, *tail))
