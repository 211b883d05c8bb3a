"""The viscript shell over SSH, as a person types it, and every way out of it that a clever person tries."""

import re
import socket
import subprocess

from image.emulator.board import Board, free_port
from tests.boot.rows import Table, wait_for

TRACKER = "127.0.0.1:20000"
LISTENERS = "sudo ss -Hltun | awk '{print $5}' | grep -v '^127\\.' | grep -v ':68$' | sort -u | xargs"
DATA = "findmnt -bno SIZE,FSTYPE /data; ls /run/skywire"
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
        "apps lists what is configured", "apps", r'^apptracker {4}-\S.*\nType "help <name>" for expected parameters\.$'
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


def refusal_rows(board: Board, table: Table) -> None:
    """No Unix shell, file transfer, forwarding, password or other user."""
    marker = "uid="

    def refused(claim: str, done: subprocess.CompletedProcess[str]) -> None:
        said = done.stdout + done.stderr
        table.add(claim, f"exit {done.returncode}: {said}", done.returncode != 0 and marker not in said)

    for command in ("sh -c id", "id", "/bin/sh", "help; id", "help $(id)", "start sh -c id", "headless", "!id"):
        refused(f"ssh viscript '{command}' runs no Unix command", board.ssh(command, check=False))
    refused("a terminal is no way out", board.ssh("sh -c id", options=("-tt",), check=False))
    interactive = board.ssh("", options=("-tt",), stdin="!id\nsh\n:!id\nexit\n", check=False, deadline_s=120)
    table.add(
        "typing shell escapes at the prompt runs nothing", interactive.stdout[-200:], marker not in interactive.stdout
    )
    refused(
        "an environment from outside is not taken",
        board.ssh("sh", options=("-o", "SetEnv=PAGER=id LANG=x"), check=False),
    )
    words = board.ssh_words("viscript")[1:-1]
    transfer = [word if word != "-p" else "-P" for word in words]
    board.folder.joinpath("file").write_text("x")
    for tool in (["sftp", *transfer, "viscript@127.0.0.1"], ["scp", *transfer, "file", "viscript@127.0.0.1:/tmp/x"],
                 ["scp", "-O", *transfer, "file", "viscript@127.0.0.1:/tmp/x"]):  # fmt: skip
        done = subprocess.run(
            tool, input="ls /\n", capture_output=True, text=True, timeout=180, check=False, cwd=board.folder
        )
        refused(f"{tool[0]} {'(old protocol) ' if '-O' in tool else ''}is refused", done)
    table.check("a forwarded port carries nothing", lambda: _forward(board))
    for user in ("root", "viscriptd", "nobody"):
        refused(f"user {user} is refused", board.ssh("id", user=user, check=False))
    asked = ("-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive")
    done = board.ssh("status", options=asked, check=False)
    offered = done.stderr.split("(")[-1]
    refused("no password is ever asked for", done)
    table.add("the server offers keys alone", f"({offered}", offered.strip() == "publickey).")


def _forward(board: Board) -> tuple[str, bool]:
    """Forwards a local port to the board's own SSH server and waits for its greeting, which must not come."""
    port = free_port()
    words = [
        *board.ssh_words("viscript"),
        "-N",
        "-L",
        f"127.0.0.1:{port}:127.0.0.1:22",
        "-o",
        "ExitOnForwardFailure=yes",
    ]
    tunnel = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: tunnel.poll() is not None or _listens(port), 60)
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
                heard = link.recv(4)
        except OSError as error:
            heard = b""
            return f"{type(error).__name__}: {error}", True
        return f"heard {heard!r}", heard != b"SSH-"
    finally:
        tunnel.terminate()
        tunnel.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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
    asks("on the LAN only SSH listens", LISTENERS, r"0\.0\.0\.0:22 \[::\]:22")
    asks("the root is read-only squashfs behind dm-verity, verified", ROOT, r"squashfs ro\n\S+ \S+ verity V.*")
    asks("the boot partition is read-only", "findmnt -no OPTIONS /boot/firmware | cut -d, -f1", "ro")
    asks(
        "data grew to the end of the card",
        "findmnt -bno SIZE,FSTYPE /data; ls /run/skywire",
        r"[23]\d{9} ext4\n(?!.*fault).*",
    )
    asks("U-Boot counted a try and Linux gave it back", BOOT_STATE, r".*A 3.*")
    asks("login, daemon, supervisor and application are four users", USERS, r"(?!.*\b(\d+)\b.*\b\1\b)(\s*\d+){4}\s*")
