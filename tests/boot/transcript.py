"""The viscript shell over SSH, as a person types it, and what admin finds behind it."""

import re

from image.emulator.board import Board
from tests.boot.rows import Table, wait_for

TRACKER = "127.0.0.1:20000"
LISTENERS = "sudo ss -Hltun | awk '{print $5}' | grep -v '^127\\.' | grep -v ':68$' | sort -u | xargs"
PLACE = r"(?:\*|0\.0\.0\.0|\[::\]|\[fd53:[0-9a-f:]+\]):(?:22|5353|51820|51821|51822|7997|7996|4222|4223)"
"""SSH, mDNS; links, sessions, probes and the join port of the mesh; the manager's bus and updates on its session
address.
"""
DATA = "findmnt -bno SIZE,FSTYPE /data; ls /run/skywire"
HOME = "getent passwd viscript | cut -d: -f6 | xargs stat -c '%U %a'"
ROOT = "findmnt -no FSTYPE,OPTIONS / | cut -c1-11; sudo dmsetup status sky-root"
BOOT_STATE = "sudo /usr/lib/skywire/bin/python3 -I -m skywire_board.bootstate show --device /run/skywire/card"
USERS = (
    "for unit in viscript.service skywire-board.service 'skywire-app-*'; do "
    'ps -o uid= -p "$(systemctl show -P MainPID "$unit" | head -n 1)"; done; id -u viscript'
)


def start_tracker(board: Board) -> int:
    """Starts an apptracker; its id, parsed from what the shell said."""
    said = board.ssh(f"s apptracker {TRACKER}").stdout
    found = re.search(r"Added external app \(ID: (\d+), Command: (.+)\)", said)
    assert found, said
    return int(found[1])


def shell_rows(board: Board, table: Table) -> int:
    """The commands of the first issue with the original's output shapes; the id of the tracker it left running."""

    def says(claim: str, command: str, pattern: str) -> None:
        def look() -> tuple[str, bool]:
            done = board.ssh(command, check=False)
            said = done.stdout + done.stderr
            return f"$ {command} -> {said}", re.search(pattern, said, re.MULTILINE) is not None

        table.check(claim, look)

    says(
        "apps lists what is configured", "apps", r'^apptracker {14}-\S.*\nType "help <name>" for expected parameters\.$'
    )
    says("help explains an app", "help apptracker", r"\[1\] ")
    ended = start_tracker(board)
    app = start_tracker(board) if board.ssh(f"sd {ended}").stdout else ended
    table.add("s starts apptracker and names its id, each id once", f"IDs {ended}, then {app}", app > ended >= 2)
    wait_for(lambda: "ping time" in board.ssh(f"ping {app}", check=False).stdout, 60)
    says("list_apps shows it", "list_apps", rf"^\[ {app} \] -> \[ /usr/lib/skywire/bin/apptracker \]$")
    says("ping measures it", f"ping {app}", r"^ping time \d+(\.\d+)?m?s$")
    says("ru shows its CPU and memory", f"ru {app}", r"(?s)CPU.*Memory +\d")
    says("an unknown app is named", "s nosuch", r"App with name 'nosuch' doesn't exist\. Try running 'apps'\.")
    return app


def directory_rows(board: Board, table: Table) -> None:
    """The tracker serves a second program: one registers, another asks."""
    program = "/usr/lib/skywire/bin/apptracker"

    def look() -> tuple[str, bool]:
        board.ssh(f"{program} {TRACKER} camera --register 192.0.2.7:554", user="admin")
        said = board.ssh(f"{program} --query {TRACKER}", user="admin").stdout
        return said, "camera" in said and "192.0.2.7:554" in said

    table.check("a second program finds what a first one registered", look)


def shutdown_rows(board: Board, table: Table, app: int) -> None:
    pid = app_pid(board, app)

    def look() -> tuple[str, bool]:
        said = board.ssh(f"sd {app}").stdout
        gone = wait_for(lambda: not app_pid(board, app), 30) is not None
        return (
            f"{said} process {pid} {'gone' if gone else 'still there'}",
            said.strip() == f"shutdown pid {pid}" and gone,
        )

    table.check("sd ends it by signal and names its process", look)


def app_pid(board: Board, app: int) -> int:
    """Main process of an application's unit, 0 when it is gone, as systemd says."""
    said = board.ssh(f"systemctl show -P MainPID 'skywire-app-*-{app}.service'", user="admin").stdout
    return int(said or 0)


def admin_rows(board: Board, table: Table) -> None:
    """What admin finds behind the shell: a healthy, closed, read-only system."""

    def asks(claim: str, command: str, holds: str) -> None:
        def look() -> tuple[str, bool]:
            said = board.ssh(command, user="admin").stdout
            return said, re.fullmatch(holds, said.strip(), re.DOTALL) is not None

        table.check(claim, look)

    asks("admin logs in by key and is root through sudo", "sudo id -un", "root")
    asks("no unit has failed", "systemctl --failed --no-legend --plain | wc -l", "0")
    asks("no user has a password", "sudo cut -d: -f2 /etc/shadow | sort -u", r"\*")
    claim = "on the LAN only SSH, mDNS and the mesh listen"
    asks(claim, LISTENERS, rf"(?=.*0\.0\.0\.0:22\b)(?=.*\[::\]:22\b){PLACE}(?: {PLACE})*")
    asks("the root is read-only squashfs behind dm-verity, verified", ROOT, r"squashfs ro\n\S+ \S+ verity V.*")
    asks("the boot partition is read-only", "findmnt -no OPTIONS /boot/firmware | cut -d, -f1", "ro")
    asks("data grew to the end of the card", DATA, r"[23]\d{9} ext4\n(?!.*fault).*")
    asks("the shell user's home belongs to root", HOME, "root 755")
    counted = "; ".join(line for line in board.console().splitlines() if line.startswith("SKY state"))
    table.add("U-Boot counted a try", counted, "A=2" in counted)
    asks("and Linux gave it back in a later write", BOOT_STATE, r".*A 3.*\(write ([4-9]|\d\d+)\)")
    asks("login, daemon, supervisor and application are four users", USERS, r"(?!.*\b(\d+)\b.*\b\1\b)(\s*\d+){4}\s*")
