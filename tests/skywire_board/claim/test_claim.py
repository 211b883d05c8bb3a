"""The claim with the real sshd, the card's own configuration, and real clients: who is pinned, and who never is."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.skywire_board.claim.ssh_board import Person, SshBoard, have_tools
from tests.skywire_board.throwaway import wait_until

pytestmark = pytest.mark.skipif(not have_tools(), reason="needs root, openssh-server and a mount namespace")

MERGE = "/usr/lib/skywire/bin/login-keys"
CLAIMED = "data/owner/authorized_keys.d/claimed"
LOGS_IN = "echo in"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshBoard]:
    with SshBoard(tmp_path_factory.mktemp("claim")) as board:
        board.serve_ssh()
        yield board


@pytest.fixture
def unclaimed(board: SshBoard) -> SshBoard:
    """The same board as new: no key anywhere, no window."""
    (board.root / CLAIMED).unlink(missing_ok=True)
    (board.root / "boot/firmware/authorized_keys").unlink(missing_ok=True)
    merged = board.run(MERGE)
    assert merged.returncode == 0, merged.stderr
    assert not (board.root / "run/skywire/claimed").exists()
    return board


def open_window(board: SshBoard, seconds: float = 120) -> "subprocess.Popen[bytes]":
    """What the supervisor starts on a short press; back once the socket is there."""
    job = board.start("window.log", *board.python("-m", "skywire_board.claim", "window", "--seconds", str(seconds)))
    socket = board.root / "run/skywire/claim/claim.sock"
    wait_until(lambda: socket.exists() or job.poll() is not None, "the window does not open")
    return job


def keys(board: SshBoard) -> str:
    return (board.root / "run/skywire/keys/admin").read_text()


def test_the_first_key_is_pinned_and_the_window_closes(unclaimed: SshBoard, tmp_path: Path) -> None:
    first, second = (Person(tmp_path, name, unclaimed.port) for name in ("first", "second"))
    assert first.ssh("admin", LOGS_IN).returncode == 255, "nobody gets in before the button is pressed"
    window = open_window(unclaimed)
    assert first.ssh("viscript", "status").returncode == 255, "the claim is admin's alone"
    done = first.ssh("admin", "whoami; pwd")
    assert (done.returncode, done.stdout) == (0, "admin\n/home/admin\n"), done.stderr
    assert "This board is yours now: key SHA256:" in done.stderr
    assert window.wait(30) == 0
    assert not (unclaimed.root / "run/skywire/claim/claim.sock").exists()
    assert (unclaimed.root / CLAIMED).read_text() == f"{first.public} pinned-by-button\n"
    assert (unclaimed.root / "run/skywire/claimed").exists()
    again = first.ssh("admin", LOGS_IN)
    assert (again.stdout, again.stderr) == ("in\n", "")
    assert second.ssh("admin", LOGS_IN).returncode == 255
    assert first.public in (unclaimed.root / "run/skywire/keys/viscript").read_text()


def test_a_key_that_is_only_offered_is_not_pinned(unclaimed: SshBoard, tmp_path: Path) -> None:
    """Its owner shows the public half of somebody else's key, which sshd accepts for a signature that never comes."""
    window = open_window(unclaimed)
    victim = Person(tmp_path, "victim", unclaimed.port)
    victim.lock_away()
    shown = victim.ssh("admin", LOGS_IN, "-v", "-oLogLevel=DEBUG1")
    assert "Server accepts key" in shown.stderr
    assert shown.returncode == 255
    assert keys(unclaimed).strip() == ""
    assert window.poll() is None, "the window is still open"
    owner = Person(tmp_path, "owner", unclaimed.port)
    assert owner.ssh("admin", LOGS_IN).stdout == "in\n"
    assert keys(unclaimed).count("ssh-ed25519") == 1
    window.wait(30)


def test_of_keys_that_race_exactly_one_is_pinned(unclaimed: SshBoard, tmp_path: Path) -> None:
    people = [Person(tmp_path, f"racer{number}", unclaimed.port) for number in range(4)]
    window = open_window(unclaimed)
    runs = [
        subprocess.Popen(person.words("admin", LOGS_IN), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for person in people
    ]
    told = [run.communicate(timeout=60) for run in runs]
    won = [person for person, (out, _) in zip(people, told, strict=True) if out == "in\n"]
    assert len(won) == 1, told
    assert window.wait(30) == 0
    assert (unclaimed.root / CLAIMED).read_text().startswith(won[0].public)
    assert [person.ssh("admin", LOGS_IN).stdout for person in people].count("in\n") == 1


def test_a_claimed_board_opens_no_window(unclaimed: SshBoard, tmp_path: Path) -> None:
    owner, other = (Person(tmp_path, name, unclaimed.port) for name in ("owner", "other"))
    (unclaimed.root / "boot/firmware/authorized_keys").write_text(f"# mine\r\n{owner.public} me\r\n")
    window = open_window(unclaimed)
    assert window.wait(30) == 0
    assert other.ssh("admin", LOGS_IN).returncode == 255
    assert owner.ssh("admin", LOGS_IN).stdout == "in\n", "the key of the boot partition lets its owner in"
    assert not (unclaimed.root / CLAIMED).exists()


def test_a_key_that_windows_saved_lets_in_and_a_private_one_claims_nothing(unclaimed: SshBoard, tmp_path: Path) -> None:
    owner = Person(tmp_path, "owner", unclaimed.port)
    place = unclaimed.root / "boot/firmware/authorized_keys"
    place.write_bytes(f"{owner.public} me\r\n".encode("utf-16"))
    assert (unclaimed.run(MERGE).stderr, owner.ssh("admin", LOGS_IN).stdout) == ("", "in\n")
    assert (unclaimed.root / "run/skywire/claimed").exists()
    place.write_text((tmp_path / "owner").read_text())
    assert unclaimed.run(MERGE).stderr.startswith("<4>authorized_keys:1: is a private key")
    assert not (unclaimed.root / "run/skywire/claimed").exists()
    assert keys(unclaimed) == ""


def test_the_window_closes_by_itself(unclaimed: SshBoard, tmp_path: Path) -> None:
    late = Person(tmp_path, "late", unclaimed.port)
    window = open_window(unclaimed, seconds=0.3)
    assert window.wait(30) == 0
    assert late.ssh("admin", LOGS_IN).returncode == 255
    assert keys(unclaimed).strip() == ""


def test_the_claim_gets_no_forwarding_and_no_copying(unclaimed: SshBoard, tmp_path: Path) -> None:
    """Restricted until the key is pinned: what is not the forced command is refused, and pins nothing."""
    window = open_window(unclaimed)
    person = Person(tmp_path, "person", unclaimed.port)
    assert person.forward_to(unclaimed.port) == ""
    assert keys(unclaimed).strip() == ""
    assert person.ssh("admin", "sftp", "-s").returncode == 1, "a client that copies asks once more"
    assert window.wait(30) == 0
    assert person.public in keys(unclaimed)
    assert person.forward_to(unclaimed.port).startswith("SSH-2.0"), "the owner may"


def test_others_cannot_ask_for_a_key_to_be_pinned(unclaimed: SshBoard, tmp_path: Path) -> None:
    window = open_window(unclaimed)
    ask = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/skywire/claim/claim.sock'); "
        f's.sendall(b\'{{"do":"pin","key":"{Person(tmp_path, "x", 0).public}"}}\\n\'); print(s.recv(4096).decode())'
    )
    by_root = unclaimed.run(*unclaimed.python("-c", ask))
    assert "user 0 may not claim this board" in by_root.stdout
    by_another = unclaimed.run("setpriv", "--reuid=60988", "--regid=60988", "--clear-groups",
                               *unclaimed.python("-c", ask))  # fmt: skip
    assert "PermissionError" in by_another.stderr
    assert keys(unclaimed).strip() == ""
    assert window.poll() is None
    window.terminate()


def test_a_neighbour_that_never_logs_in_keeps_nobody_else_out(board: SshBoard) -> None:
    with contextlib.ExitStack() as held:

        def is_greeted(source: str) -> bool:
            line = socket.create_connection(("127.0.0.1", board.port), 30, (source, 0))
            held.callback(line.close)
            try:
                return line.recv(4) == b"SSH-"
            except ConnectionResetError:
                return False

        greeted = [is_greeted("127.0.0.2") for _ in range(50)]
        assert 0 < sum(greeted) < 10
        assert all(is_greeted("127.0.0.3") for _ in range(3))
