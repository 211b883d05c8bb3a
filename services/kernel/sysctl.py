"""The door to /proc/sys/net/ipv6/conf. Forwarding is switched on for our interfaces alone where the kernel can
(`force_forwarding`, 6.17); else for all, and then interfaces that learn their address from a router keep doing so.
"""

from __future__ import annotations

from pathlib import Path

from services.kernel.errors import DoorError
from services.kernel.model import is_ours

CONF = Path("/proc/sys/net/ipv6/conf")
NO_ADDRESS = "1"  # of addr_gen_mode
EVEN_IF_FORWARDING = "2"  # of accept_ra


def forwards(device: str) -> bool:
    """As far as we would have set it: what is on for all interfaces anyway is not ours to take back."""
    return (_read(device, "force_forwarding") or _read(device, "forwarding")) == "1"


def forward(device: str, *, on: bool) -> None:
    if (CONF / device / "force_forwarding").exists():
        _write(device, "force_forwarding", "01"[on])
        return
    if on and _read("all", "forwarding") != "1":
        for learning in [path.parent.name for path in CONF.glob("*/accept_ra") if path.read_text().strip() == "1"]:
            _write(learning, "accept_ra", EVEN_IF_FORWARDING)
        others = [path.name for path in CONF.iterdir() if is_ours(path.name) and _read(path.name, "forwarding") == "0"]
        _write("all", "forwarding", "1")
        for other in others:
            _write(other, "forwarding", "0")
    _write(device, "forwarding", "01"[on])


def give_no_address(device: str) -> None:
    """The kernel shall make up no link-local address there: all addresses of our interfaces are ours."""
    _write(device, "addr_gen_mode", NO_ADDRESS)


def _read(device: str, name: str) -> str:
    try:
        return (CONF / device / name).read_text().strip()
    except OSError:
        return ""


def _write(device: str, name: str, value: str) -> None:
    path = CONF / device / name
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as error:
        raise DoorError(f"cannot set '{path}' to '{value}': {error.strerror}") from error
