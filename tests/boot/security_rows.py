"""What somebody sees who wants to break into a running board: what listens, what answers to a scan with the node and
without it, how exposed its services are, what the kernel lets them do. Compared with tests/image/inventory.yaml.
"""

import json
import re
from pathlib import Path

from image.emulator.board import Board
from tests.boot.rows import Table, wait_for
from tests.image.inventory import read_inventory

SCAN = Path(__file__).with_name("scan_guest.py")
SYSCTL = Path(__file__).parents[2] / "rootfs_overlay/usr/lib/sysctl.d/90-skywire.conf"
MOST_EXPOSED = 3.0
OURS = re.compile(r"(?:skywire|viscript|rauc)[\w@.-]*\.service")
START_S = 300
PORTS = "1-1100,4222,5353,7990-8005,8080,8090,20000,51820-51830"
FOUR, SIX = "10.78.0.1", "fd00:78::1"
BESIDE = f"""
set -e; sudo modprobe veth
sudo ip netns add scan; trap 'sudo ip netns delete scan' EXIT
sudo ip link add scan0 type veth peer name scan1 netns scan
sudo ip address add {FOUR}/24 dev scan0; sudo ip address add {SIX}/64 dev scan0 nodad; sudo ip link set scan0 up
sudo ip -n scan address add 10.78.0.2/24 dev scan1; sudo ip -n scan address add fd00:78::2/64 dev scan1 nodad
sudo ip -n scan link set scan1 up
sudo ip netns exec scan /usr/lib/skywire/bin/python3 -IB /tmp/scan_guest.py {PORTS} {{tcp,udp}}/{{{FOUR},{SIX}}}
"""
SETUID = "sudo find / /data /run -xdev -type f -perm /6000 -printf '%m %u %g %P\\n' 2>/dev/null"
SUDO = """
for user in skywire viscript skywire-vpn nobody; do
  sudo setpriv --reuid=$user --clear-groups sh -c '/usr/bin/sudo -n id'
done 2>&1
"""
LEAK = """
apps:
  leak:
    daemon: true
    path: /usr/lib/skywire/bin/python3
    default_args: [-c, "held = []\\nwhile True: held.append(bytearray(1 << 20))"]
    memory_max: 48M
    restart: always
"""
OTHERS = "systemctl show -P MainPID skywire-board viscript 'skywire-app-node-*'"
CEILING = "systemctl show -p Id,MemoryMax,MemoryPeak '*.service'; free -m | grep Mem"


def security_rows(board: Board, table: Table) -> None:
    """On a board that nobody has configured, with its own node and manager running and no other application."""
    board.send(SCAN.read_bytes(), "cat >/tmp/scan_guest.py", user="admin")
    table.check("nothing listens but what is on the list", lambda: _listeners(board))
    table.check(
        "a scan from a network beside it finds SSH, and (but for mDNS) nothing else answers", lambda: _scan(board)
    )
    claim = "and no more than that when the node and its table are gone; the node brings the table back"
    table.check(claim, lambda: _without_node(board))
    claim = f"each service of ours is on the list, its exposure at most {MOST_EXPOSED:g} (systemd-analyze security)"
    table.check(claim, lambda: _exposure(board))
    table.check("no setuid program but sudo, which services and the shell's user cannot start", lambda: _setuid(board))
    table.check("the kernel refuses what the image says it shall", lambda: _sysctl(board))
    claim = "an application that leaks is ended at its ceiling and started anew, and nothing else is"
    table.check(claim, lambda: _leak(board))
    table.check("every service has a ceiling, and all of it fits a board with 512 MB", lambda: _ceilings(board))


def _ask(board: Board, command: str, *, check: bool = True) -> str:
    return board.ssh(command, user="admin", check=check).stdout


def read_listeners(said: str) -> list[str]:
    """What `ss -Hlntup` says as the list has it: protocol, where (any, loopback, mesh, uplink), port, program."""
    found = set()
    for words in (line.split() for line in said.splitlines()):
        address, _, port = words[4].rpartition(":")
        program = re.search(r'users:\(\("([^"]+)"', " ".join(words[6:]))
        found.add(f"{words[0]} {_where(address)} {port} {program[1] if program else 'kernel'}")
    return sorted(found)


def _where(address: str) -> str:
    bare = address.strip("[]")
    if bare in {"0.0.0.0", "::", "*"}:
        return "any"
    if bare.startswith(("127.", "::1")):
        return "loopback"
    return "mesh" if bare.startswith(("fd53:", "fd4c:", "fd52:")) else "uplink"


def _listeners(board: Board) -> tuple[str, bool]:
    found, listed = read_listeners(_ask(board, "sudo ss -Hlntup")), read_inventory().listeners
    new = sorted(set(found) - set(listed))
    advice = f"; NEW: {new} (close it, or add it to tests/image/inventory.yaml)" if new else ""
    return f"{', '.join(found)}{advice}", not new and len(found) > 3


def _scan(board: Board) -> tuple[str, bool]:
    """UDP 5353 refuses while nobody listens there for mDNS."""
    found = json.loads(_ask(board, BESIDE).splitlines()[-1])
    expected = all(
        ports == [22] if place.startswith("tcp/") else set(ports) <= {5353} for place, ports in found.items()
    )
    return str(found), expected and len(found) == 4


def _without_node(board: Board) -> tuple[str, bool]:
    """The node is held while its table is away."""
    hold = "sudo systemctl kill --signal={} 'skywire-app-node-*'"
    _ask(board, f"{hold.format('STOP')}; sudo nft delete table inet skywire")
    seen, shut = _scan(board)
    _ask(board, hold.format("KILL"))
    back = wait_for(lambda: "inet skywire\n" in _ask(board, "sudo nft list tables"), START_S, every_s=1)
    works = wait_for(lambda: board.ssh("node status", user="admin", check=False).returncode == 0, START_S, every_s=1)
    return f"{seen}; back: {bool(back)}, works: {bool(works)}", shut and bool(back) and bool(works)


def _exposure(board: Board) -> tuple[str, bool]:
    said = _ask(board, "systemd-analyze security --no-pager", check=False)
    rows = [line.split() for line in said.splitlines() if OURS.match(line)]
    exposed = {words[0]: float(words[1]) for words in rows}
    listed = {re.escape(name).replace("@", "@.*") for name in read_inventory().units} | {r"skywire-app-.*\.service"}
    strange = [name for name in exposed if not any(re.fullmatch(pattern, name) for pattern in listed)]
    over = [name for name, found in exposed.items() if found > MOST_EXPOSED]
    advice = f"; NOT LISTED: {strange} (add them to tests/image/inventory.yaml)" if strange else ""
    return f"{exposed}{advice}", len(exposed) >= 4 and not over and not strange


def _setuid(board: Board) -> tuple[str, bool]:
    found, tried = _ask(board, SETUID, check=False).splitlines(), _ask(board, SUDO, check=False).splitlines()
    refused = len(tried) == 4 and all("Permission denied" in line for line in tried)
    return f"{found}; {tried}", found == read_inventory().setuid and refused


def read_settings(text: str) -> dict[str, str]:
    """sysctl.d's lines that name one setting, as path below /proc/sys → value."""
    rows = [line.removeprefix("-").partition("=") for line in text.splitlines() if "=" in line and line[0] != "#"]
    return {name.strip().replace(".", "/"): value.strip() for name, _, value in rows if "*" not in name}


def judge_settings(wanted: dict[str, str], said: str, absent: list[str]) -> tuple[str, bool]:
    """`said` has a setting and its value in each line, the value missing where the kernel has no such setting. Those
    must be the listed ones, no more and no fewer.
    """
    found = {words[0]: words[2] for line in said.splitlines() if (words := line.partition(" "))[2]}
    wrong = {name: value for name, value in found.items() if value != wanted[name]}
    missing = sorted(wanted.keys() - found.keys())
    seen = f"{len(found) - len(wrong)} settings as wanted, wrong: {wrong}, not in this kernel: {missing}"
    if missing != sorted(absent):
        seen += f"; LISTED as absent: {sorted(absent)} (what did it do? Then see tests/image/inventory.yaml and README)"
    return seen, not wrong and missing == sorted(absent)


def _sysctl(board: Board) -> tuple[str, bool]:
    wanted = read_settings(SYSCTL.read_text())
    said = _ask(board, f"cd /proc/sys; for name in {' '.join(wanted)}; do echo $name $(sudo cat $name); done")
    return judge_settings(wanted, said, read_inventory().absent_settings)


def _leak(board: Board) -> tuple[str, bool]:
    _ask(board, "sudo cp /etc/skywire/config.yaml /tmp/kept")
    board.send(LEAK.encode(), "sudo tee /etc/skywire/config.yaml >/dev/null", user="admin")
    before = _ask(board, OTHERS)
    try:
        started = board.ssh("", stdin="reload\ns leak\n", check=False).stdout
        killed = wait_for(lambda: _kills(board) >= 2 or None, START_S, every_s=1)
        after, number = _ask(board, OTHERS), re.search(r"ID: (\d+)", started)
        board.ssh(f"sd {number[1] if number else 0}", check=False)
    finally:
        _ask(board, "sudo cp /tmp/kept /etc/skywire/config.yaml")
        board.ssh("reload", check=False)
    return f"{started} ended at 48 MB {_kills(board)} times; others {'go on' if before == after else 'CHANGED'}", (
        killed is not None and before == after
    )


def _kills(board: Board) -> int:
    return int(_ask(board, "sudo journalctl -k --no-pager | grep -c 'Memory cgroup out of memory' || true"))


def _ceilings(board: Board) -> tuple[str, bool]:
    *blocks, memory = _ask(board, CEILING).strip().rsplit("\n", 1)
    units = [dict(line.split("=", 1) for line in block.splitlines()) for block in blocks[0].split("\n\n")]
    running = {unit["Id"]: unit for unit in units if unit["MemoryPeak"].isdigit()}
    ours = set(read_inventory().daemons) | {name for name in running if OURS.fullmatch(name)}
    bare = sorted(name for name in ours & running.keys() if running[name]["MemoryMax"] == "infinity")
    used = int(memory.split()[2])
    peak = max(ours & running.keys(), key=lambda name: int(running[name]["MemoryPeak"]))
    most = int(running[peak]["MemoryPeak"]) // 1_000_000
    return (
        f"{len(ours & running.keys())} services, bare: {bare}, most at its peak: {peak} {most} MB; used: {used} MiB",
        (not bare and used < 400),
    )
