"""The mesh on the board: node and manager under viscript, WireGuard in the kernel, and a route through the guest."""

import json
import re
from pathlib import Path

from image.emulator.board import Board
from tests.boot.chain import Chain, run_program, send_program
from tests.boot.rows import Table, wait_for

START_S = 300
CARRIED = 2_000_000
FAR = Path(__file__).with_name("far_guest.py")
NET_ADMIN = "0000000000001000"
POWERS = """
for app in node manager; do
  pid=$(systemctl show -P MainPID "skywire-app-$app-*.service" | head -n 1)
  echo $app $(ps -o user= -p $pid) $(sudo grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/$pid/status | cut -f2)
done
"""
KERNEL = (
    "for name in sky0 sky-link; do ip -j -d link show $name | "
    "grep -o '\"info_kind\":\"[a-z]*\"'; done; lsmod | grep -o '^wireguard'; pgrep wireguard-go || echo no daemon"
)
SEED = "sudo stat -c '%U %a %s' /data/identity /data/identity/seed"
KEPT = "sudo stat -c '%U %a' /data/mesh/node /data/mesh/manager /run/skywire/node"
FOREIGN = "ip -6 route show table all proto 83 | sort; ip -6 address show dev sky0 | grep inet6"
NETWORKD = (
    "sudo systemctl restart systemd-networkd; n=0; while [ $n -lt 60 ]; do "
    "networkctl status sky0 --no-pager | grep -q configured && break; sleep 1; n=$((n + 1)); done; resolvectl dns sky0"
)
KNOCK = """
set -e; sudo modprobe veth
sudo ip netns add knock; trap 'sudo ip netns delete knock' EXIT
sudo ip link add knock0 type veth peer name knock1 netns knock
sudo ip address add 10.78.0.1/24 dev knock0; sudo ip link set knock0 up
sudo ip -n knock address add 10.78.0.2/24 dev knock1; sudo ip -n knock link set knock1 up
/usr/lib/skywire/bin/python3 -IB - <<'PYTHON' &
import socket, time
listener = socket.create_server(("0.0.0.0", 8888))
time.sleep(40)
PYTHON
for port in 22 7997 8888 invite 7997; do
  if [ $port = invite ]; then sudo manager invite --lasts 60s >/dev/null; continue; fi
  sudo ip netns exec knock /usr/lib/skywire/bin/python3 -IB -c "
import socket
link = socket.socket(); link.settimeout(8)
print($port, 'open' if link.connect_ex(('10.78.0.1', $port)) == 0 else 'shut')"
done
kill %1; sudo nft -j list counter inet skywire refused | grep -o '"packets": *[0-9]*'
"""


def mesh_rows(board: Board, table: Table) -> None:
    """What a board does that nobody has configured: it is a network of one."""
    claim = "node and manager run under viscript, and the mesh works end to end"
    table.check(claim, lambda: _works(board))
    table.check("they are one user without privileges, and the node alone has CAP_NET_ADMIN", lambda: _powers(board))
    table.check("the identity was made on the card, for that user's eyes", lambda: _identity(board))
    table.check("links and sessions are the kernel's WireGuard", lambda: _kernel(board))
    claim = "from outside SSH alone is open; the join port is once somebody is invited"
    table.check(claim, lambda: _knock(board))
    table.check("systemd-networkd leaves the mesh's routes and addresses alone", lambda: _networkd(board))
    table.check("a name leads to the board's session address, through systemd-resolved", lambda: _named(board))
    claim = "a second node, in a namespace, joins by invitation and opens a session for a service of the board"
    table.check(claim, lambda: _second(board))
    claim = "a session through two relays, all four in namespaces of the guest, carries TCP in kernel WireGuard"
    table.check(claim, lambda: _chain(board))
    table.check("node killed with -9: back under its id, and the kernel's state was adopted", lambda: _adopts(board))


def node_status(board: Board) -> tuple[str, bool]:
    """What `node status` says, and whether that is that the mesh works."""
    done = board.ssh("node status", user="admin", check=False)
    return done.stdout + done.stderr, done.returncode == 0 and re.search(r"\bworks\b", done.stdout) is not None


def _works(board: Board) -> tuple[str, bool]:
    wait_for(lambda: node_status(board)[1], START_S, every_s=1)
    listed = board.ssh("la").stdout
    said, works = node_status(board)
    return f"{listed}; node status: {said}", works and "bin/node ]" in listed and "bin/manager ]" in listed


def _powers(board: Board) -> tuple[str, bool]:
    said = board.ssh(POWERS, user="admin").stdout
    none = "0" * 16
    wanted = [["node", "skywire", NET_ADMIN, NET_ADMIN, "1"], ["manager", "skywire", none, none, "1"]]
    return said, [line.split() for line in said.splitlines()] == wanted


def _identity(board: Board) -> tuple[str, bool]:
    said = board.ssh(f"{SEED}; {KEPT}", user="admin").stdout
    lines = said.splitlines()
    return said, lines[0].startswith("skywire 700 ") and lines[1:] == ["skywire 600 32", *["skywire 700"] * 3]


def _kernel(board: Board) -> tuple[str, bool]:
    said = board.ssh(KERNEL, user="admin").stdout
    return said, said.split("\n")[:4] == ['"info_kind":"wireguard"'] * 2 + ["wireguard", "no daemon"]


def _knock(board: Board) -> tuple[str, bool]:
    said = board.ssh(KNOCK, user="admin").stdout
    dropped = re.search(r'"packets": *(\d+)', said)
    in_turn = re.findall(r"(\d+ (?:open|shut))", said)
    wanted = ["22 open", "7997 shut", "8888 shut", "7997 open"]
    return said, in_turn == wanted and dropped is not None and int(dropped[1]) > 0


def _networkd(board: Board) -> tuple[str, bool]:
    before = board.ssh(FOREIGN, user="admin").stdout
    managed = board.ssh(NETWORKD, user="admin").stdout
    after = board.ssh(FOREIGN, user="admin").stdout
    return f"{managed}; {after}", bool(before) and before == after and "127.0.0.153:5453" in managed


def _named(board: Board) -> tuple[str, bool]:
    status = json.loads(board.ssh("node status --json", user="admin").stdout)
    told = board.ssh(f"sudo manager name {status['node_id']} board", user="admin").stdout
    found = wait_for(lambda: board.ssh("getent ahostsv6 board.sky", user="admin", check=False).stdout, 60) or "nothing"
    return f"{told}; {found}", found.split()[0] == status["session_address"]


def _second(board: Board) -> tuple[str, bool]:
    send_program(board, FAR)
    seen = run_program(board, FAR, START_S)
    return json.dumps(seen), seen["said"] == "1000000 bytes arrived" and seen["kernel"]


def _chain(board: Board) -> tuple[str, bool]:
    with Chain(board) as chain:
        brought = chain.bring()
        carried = chain.ask("carry", chain.far_end, CARRIED)
    settled = all(one["failed"] == [] and one["again"] == 0 for one in brought)
    return f"{json.dumps(brought)}; {json.dumps(carried)}", settled and carried["bytes"] == CARRIED


def _adopts(board: Board) -> tuple[str, bool]:
    """An interface that were made anew would have another number."""
    look = "ip -o link show sky0 | cut -d: -f1; systemctl show -P MainPID 'skywire-app-node-*.service' | head -n 1"
    number, pid = board.ssh(look, user="admin").stdout.split()
    board.ssh(f"sudo kill -9 {pid}", user="admin")

    def back() -> bool:
        found = board.ssh(look, user="admin", check=False).stdout.split()
        return len(found) == 2 and found[1] not in {"0", pid} and node_status(board)[1]

    works = wait_for(back, START_S, every_s=1) is not None
    after, new_pid = board.ssh(look, user="admin").stdout.split()
    seen = f"process {pid}, then {new_pid}; sky0 is interface {number}, then {after}; works again: {works}"
    return seen, works and number == after
