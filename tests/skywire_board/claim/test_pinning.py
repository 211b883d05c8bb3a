"""What is pinned stays pinned after a power cut at any point, and words that are no key are no key."""

import base64
import os
import subprocess
from pathlib import Path

import pytest

from skywire_board.claim.pinning import Places, is_claimed, pin
from skywire_board.claim.words import fingerprint, read_key, read_used_key
from skywire_board.errors import ClaimError

BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode()
KEY = f"ssh-ed25519 {BLOB}"
TRACE = """
import sys
from pathlib import Path
from skywire_board.claim.pinning import Places, pin
folder = Path(sys.argv[1])
print(pin(sys.argv[2], Places(folder / "none", folder / "owner", folder / "run")))
"""


def places_in(folder: Path) -> Places:
    (folder / "run").mkdir()
    return Places(folder / "boot", folder / "owner", folder / "run")


def test_a_pinned_key_lets_in_and_no_second_is_pinned(tmp_path: Path) -> None:
    places = places_in(tmp_path)
    assert not is_claimed(places)
    assert pin(KEY, places) == fingerprint(KEY)
    assert is_claimed(places)
    with pytest.raises(ClaimError, match="claimed already"):
        pin(KEY, places)
    assert (places.owner / "claimed").stat().st_mode & 0o777 == 0o644


def test_what_a_cut_leaves_behind_is_no_key(tmp_path: Path) -> None:
    """The half-written file has a dot in its name; it counts for nothing, and the next claim works."""
    places = places_in(tmp_path)
    places.owner.mkdir()
    (places.owner / f".claimed.{os.getpid()}").write_text(KEY)
    (places.owner / "claimed.new").write_text(KEY)
    assert not is_claimed(places)
    pin(KEY, places)
    assert sorted(path.name for path in places.owner.iterdir()) == ["claimed", "claimed.new"]


def test_a_link_left_without_sshd_being_told_is_claimed_at_the_next_boot(tmp_path: Path) -> None:
    places = places_in(tmp_path)
    places.owner.mkdir()
    (places.owner / "claimed").write_text(f"{KEY} pinned-by-button\n")
    assert is_claimed(places)
    with pytest.raises(ClaimError, match="claimed already"):
        pin(KEY, places)


def test_a_damaged_file_in_its_place_does_not_shut_the_board_for_ever(tmp_path: Path) -> None:
    places = places_in(tmp_path)
    places.owner.mkdir()
    (places.owner / "claimed").write_bytes(bytes(80))
    assert pin(KEY, places) == fingerprint(KEY)
    assert (places.owner / "claimed").read_text().startswith(KEY)
    assert (places.owner / "claimed.bad").read_bytes() == bytes(80)
    with pytest.raises(ClaimError, match="claimed already"):
        pin(KEY, places)


def test_lines_that_are_no_keys_claim_nothing(tmp_path: Path) -> None:
    places = places_in(tmp_path)
    places.boot.write_text("# put your keys here\nhello\nssh-ed25519 AAAA broken\n")
    assert not is_claimed(places)
    places.boot.write_text(f'# mine\r\nhello\r\nrestrict,command="x y" {KEY} me@home\r\n')
    assert is_claimed(places)


def test_the_key_is_on_the_card_before_it_has_its_name(tmp_path: Path) -> None:
    """In the kernel's own account: written, flushed, linked, and the folder flushed, in that order."""
    places_in(tmp_path)
    words = ["strace", "-f", "-e", "trace=fsync,linkat,link,openat", "python3", "-c", TRACE, str(tmp_path), KEY]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    calls = [line.partition(" ")[2] if line.startswith("[pid") else line for line in done.stderr.splitlines()]
    kinds = [
        "fsync" if "fsync(" in call else "link" if "link" in call.partition("(")[0] else "folder"
        for call in calls
        if "fsync(" in call or "link" in call.partition("(")[0] or ("O_DIRECTORY" in call and "owner" in call)
    ]
    assert kinds[kinds.index("fsync") :][:4] == ["fsync", "link", "folder", "fsync"], done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        f"{KEY} comment",
        f"{KEY}\nssh-ed25519 {BLOB}",
        f"ssh-rsa {BLOB}",
        f"ssh-ed25519-cert-v01@openssh.com {BLOB}",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 !!!!",
    ],
)
def test_what_is_no_plain_key(text: str) -> None:
    with pytest.raises(ClaimError):
        read_key(text)


@pytest.mark.parametrize("told", ["", "password", f"publickey {KEY}\npassword\n", f"hostbased {KEY}", "publickey x y"])
def test_what_is_no_proof(told: str) -> None:
    with pytest.raises(ClaimError):
        read_used_key(told)


def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    said = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key"], capture_output=True, text=True, check=True).stdout
    assert fingerprint(KEY) == said.split()[1]
    assert read_used_key(f"publickey {KEY}\n") == KEY
