"""Every way out of the viscript shell that a clever person tries, with a control: for admin the same thing works."""

import socket
import subprocess

from image.emulator.board import Board, free_port
from tests.boot.rows import Table, wait_for

SAID_BY_VISCRIPT = ("is an unknown command", "doesn't exist")
DENIED = "Permission denied (publickey)"
DEADLINE_S = 180


def refusal_rows(board: Board, table: Table) -> None:
    """No Unix shell, file transfer, forwarding, password, other key or other user."""
    said = board.ssh("id", user="admin").stdout
    table.add("admin gets a Unix shell (control for what follows)", said, "uid=" in said)
    for command in ("sh -c id", "id", "/bin/sh", "help; id", "help $(id)", "start sh -c id", "headless", "!id"):
        _asks_viscript(table, f"ssh viscript '{command}' runs no Unix command", board.ssh(command, check=False))
    _asks_viscript(table, "a terminal is no way out", board.ssh("sh -c id", options=("-tt",), check=False))
    typed = board.ssh("", options=("-tt",), stdin="!id\nsh\n:!id\nexit\n", check=False, deadline_s=DEADLINE_S).stdout
    claim = "typing shell escapes at the prompt runs nothing"
    table.add(claim, typed[-160:], "uid=" not in typed and typed.count(SAID_BY_VISCRIPT[0]) >= 3)
    said = board.ssh("env", user="admin", options=("-o", "SetEnv=FOO=x")).stdout
    table.add("an environment from outside is not taken", f"{len(said.splitlines())} variables", "FOO=" not in said)
    _transfer_rows(board, table)
    table.check("a port forwarded by admin carries bytes (control)", lambda: _forward(board, "admin", carries=True))
    table.check("one forwarded by viscript carries nothing", lambda: _forward(board, "viscript", carries=False))
    options = ("-N", "-R", "0:127.0.0.1:1", "-o", "ExitOnForwardFailure=yes")
    done = board.ssh("", options=options, check=False)
    table.add("a port of the board is not forwarded either", done.stderr, "forwarding failed" in done.stderr)
    _login_rows(board, table)


def _asks_viscript(table: Table, claim: str, done: subprocess.CompletedProcess[str]) -> None:
    said = done.stdout + done.stderr
    refused = done.returncode in {1, 2} and "uid=" not in said and any(words in said for words in SAID_BY_VISCRIPT)
    table.add(claim, f"exit {done.returncode}: {said}", refused)


def _transfer_rows(board: Board, table: Table) -> None:
    (board.folder / "file").write_text("x")
    config = board.ssh_words("viscript")[1:-1]
    for user, works in (("admin", True), ("viscript", False)):
        for words in (
            ["sftp", *config, f"{user}@board"],
            ["scp", *config, "file", f"{user}@board:/tmp/x"],
            ["scp", "-O", *config, "file", f"{user}@board:/tmp/x"],
        ):
            done = subprocess.run(
                words,
                input="ls /usr\n",
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                check=False,
                cwd=board.folder,
            )
            name = words[0] + (" (old protocol)" if "-O" in words else "")
            claim = f"{name} works for admin (control)" if works else f"{name} is refused to viscript"
            table.add(claim, f"exit {done.returncode}: {done.stdout + done.stderr}", (done.returncode == 0) == works)


def _login_rows(board: Board, table: Table) -> None:
    def denied(claim: str, done: subprocess.CompletedProcess[str]) -> None:
        table.add(claim, done.stderr, done.returncode == 255 and DENIED in done.stderr)

    for user in ("root", "viscriptd", "nobody"):
        denied(f"user {user} is refused", board.ssh("id", user=user, check=False))
    asked = ("-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive")
    denied("no password is ever asked for", board.ssh("status", options=asked, check=False))
    stranger = board.folder / "stranger"
    if not stranger.exists():
        board.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", stranger)
    config = board.folder / "ssh-stranger"
    config.write_text((board.folder / "ssh").read_text().replace("/key\n", "/stranger\n"))
    words = ["ssh", "-F", str(config), "viscript@board", "status"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    denied("a key that is not on the card is refused", done)


def _forward(board: Board, user: str, *, carries: bool) -> tuple[str, bool]:
    """Forwards a local port to the board's own SSH server and waits for its greeting."""
    port = free_port()
    words = [*board.ssh_words(user)[:-1], "-N", "-L", f"127.0.0.1:{port}:127.0.0.1:22", f"{user}@board"]
    tunnel = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: tunnel.poll() is not None or _listens(port), DEADLINE_S)
        with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
            heard = link.recv(4)
    finally:
        tunnel.terminate()
        tunnel.wait(30)
    return f"heard {heard!r}", (heard == b"SSH-") == carries


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
