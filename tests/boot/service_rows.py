"""The services on the board, started from the shell over SSH: SOCKS through the board's own mesh of one, messages, the
VPN server's table, and what the directory shows of them.
"""

import re
from pathlib import Path

from image.emulator.board import Board
from tests.boot.chain import run_program, send_program
from tests.boot.rows import Table, wait_for
from tests.boot.transcript import TRACKER

PROBE = Path(__file__).with_name("socks_guest.py")
APPS = ("meshnet-socks-server", "meshnet-socks-client", "meshnet-messenger", "meshnet-vpn-server")
USERS = {
    "meshnet-socks-server": "skywire-socks",
    "meshnet-socks-client": "skywire-socks",
    "meshnet-messenger": "skywire-messenger",
    "meshnet-vpn-server": "skywire-vpn",
}
NONE, NET_ADMIN = "0" * 16, "0000000000001000"
START_S = 120
AIM_S = 40
AIM_MB = 40
OWN_NETWORK = "allow: ['10.0.2.0/24:8090']\n"
"""The emulator's, in which the board's own web server is: private, and so not reachable unless its owner says so."""

CLOSED = """
set -u
say() { sudo meshnet-vpn-client kill-switch $1 --defaults /usr/lib/skywire/vpn-client.yaml; }
say on; echo still here; sudo ls /data/mesh/vpn-client
/usr/lib/skywire/bin/python3 -IBc "
import socket
link = socket.socket(); link.settimeout(5)
print('out:', link.connect_ex(('10.0.2.2', 9)))"
say off; sudo ls /data/mesh/vpn-client; sudo nft list tables
"""
EHOSTUNREACH, EPERM = 113, 1
LOOK = """
for app in {apps}; do
  pid=$(systemctl show -P MainPID "skywire-app-$app-*.service" | head -n 1)
  echo $app $(ps -o user:32= -o rss= -p $pid) $(sudo grep -E 'CapEff|CapBnd' /proc/$pid/status | cut -f2)
done
"""


def service_rows(board: Board, table: Table) -> None:
    board.send(OWN_NETWORK.encode(), "sudo tee /etc/skywire/socks-server.yaml >/dev/null", user="admin")
    send_program(board, PROBE)
    before = board.seconds
    ids: list[int] = []
    table.check("four services start from the shell over SSH, and viscript can ping each", lambda: _start(board, ids))
    claim = "a connection through SOCKS client and server, over the board's own mesh, reaches a web server"
    table.check(claim, lambda: _socks(board))
    table.check("the messenger answers in the shell, and says that it works", lambda: _messenger(board))
    table.check("the VPN server's table hides its clients behind the uplink", lambda: _vpn(board))
    claim = "the kill switch lets nothing out but answers to SSH, and is kept for the next boot until it is off"
    table.check(claim, lambda: _closed(board))
    table.check("the directory shows the board's SOCKS server, by type", lambda: _directory(board))
    table.check("each is its own user, and the VPN alone has CAP_NET_ADMIN", lambda: _powers(board))
    table.check("sd ends them", lambda: _end(board, ids))
    took = board.seconds - before
    table.add(f"all of that within {AIM_S} s", f"{took:.0f} s", took <= AIM_S, aim=True)


def _say(board: Board, *lines: str) -> str:
    """To the shell, in one login."""
    done = board.ssh("", stdin="".join(f"{line}\n" for line in lines), check=False)
    return done.stdout + done.stderr


def _start(board: Board, ids: list[int]) -> tuple[str, bool]:
    said = _say(board, *(f"s {app}" for app in APPS))
    ids += map(int, re.findall(r"Added external app \(ID: (\d+), ", said))
    pinged = wait_for(lambda: _are_pinged(board, ids), START_S, every_s=1) or "not all answer"
    return f"{said}; {pinged}", len(ids) == len(APPS) and pinged != "not all answer"


def _are_pinged(board: Board, ids: list[int]) -> str:
    said = _say(board, *(f"ping {app_id}" for app_id in ids))
    return said if said.count("ping time") == len(ids) else ""


def _socks(board: Board) -> tuple[str, bool]:
    seen = run_program(board, PROBE, START_S)
    return str(seen), seen["said"] == "hello through the mesh" and seen["refused"] == 2


def _messenger(board: Board) -> tuple[str, bool]:
    """The shell's user reaches it by its group alone."""
    done = wait_for(lambda: _works(board), START_S, every_s=1) or "it does not work"
    shell = _say(board, "inbox", "contacts")
    told = "nothing new" in shell and "contacts" in shell
    return f"{done}; {shell}", told and done != "it does not work"


def _works(board: Board) -> str:
    done = board.ssh("sudo meshnet-messenger status", user="admin", check=False)
    return done.stdout if done.returncode == 0 else ""


def _vpn(board: Board) -> tuple[str, bool]:
    command = "sudo nft list table inet skywire_vpn; cat /proc/sys/net/ipv4/conf/sky0/forwarding"
    said = (
        wait_for(lambda: _ruled(board, command), START_S, every_s=1)
        or board.ssh("sudo nft list tables", user="admin").stdout
    )
    return said[-400:], "masquerade" in said or "snat" in said


def _ruled(board: Board, command: str) -> str:
    done = board.ssh(command, user="admin", check=False)
    return done.stdout if done.returncode == 0 else ""


def _closed(board: Board) -> tuple[str, bool]:
    """It is off again at the end, whatever becomes of the login."""
    said = board.ssh(CLOSED, user="admin").stdout
    on, _, off = said.partition("out: ")
    is_held = off.startswith((f"{EHOSTUNREACH}\n", f"{EPERM}\n"))
    kept = "still here" in on and "kill-switch.json" in on and "kill-switch.json" not in off
    return said, is_held and kept and "inet skywire_kill" not in off


def _directory(board: Board) -> tuple[str, bool]:
    def look() -> str:
        said = board.ssh(f"apptracker {TRACKER} --query --type socks", user="admin", check=False).stdout
        return said if re.search(r"^socks  socks  \[fd53:.*  mesh$", said, re.MULTILINE) else ""

    said = wait_for(look, 30, every_s=1) or "it is not there"
    return said, said != "it is not there"


def _powers(board: Board) -> tuple[str, bool]:
    said = board.ssh(LOOK.format(apps=" ".join(APPS)), user="admin").stdout
    rows = {words[0]: words[1:] for line in said.splitlines() if len(words := line.split()) == 5}
    powers = {app: NET_ADMIN if "vpn" in app else NONE for app in APPS}
    fine = all(rows[app][0] == USERS[app] and rows[app][2:] == [powers[app]] * 2 for app in APPS)
    light = all(int(row[1]) <= AIM_MB * 1_000_000 // 1024 for row in rows.values())
    return f"{said} (RSS in KiB{'' if light else f', over the aim of {AIM_MB} MB'})", len(rows) == len(APPS) and fine


def _end(board: Board, ids: list[int]) -> tuple[str, bool]:
    said = _say(board, *(f"sd {app_id}" for app_id in ids))
    return said, said.count("shutdown pid") == len(ids)
