"""Files of keys as people's programs save them: read, or told with their line, and nothing of a secret is shown."""

import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT

READ = ROOT / "skywire_board/claim/read-keys"
NO_KEY = "is no public key (wanted is the one line of a .pub file, such as ssh-ed25519 AAAA... me@home)"
BOM = b"\xef\xbb\xbf"


def make_key(folder: Path, name: str = "key") -> tuple[str, str]:
    """A real pair: the public line, and the text of the private half."""
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@büro 上", "-f", str(folder / name)]
    subprocess.run(words, check=True, timeout=60)
    return (folder / f"{name}.pub").read_text().strip(), (folder / name).read_text()


def read(folder: Path, data: bytes) -> tuple[str, str]:
    """What is printed, and what is told."""
    path = folder / "authorized_keys"
    path.write_bytes(data)
    done = subprocess.run(["sh", READ, path], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, done.stderr


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("codec", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", BOM),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
    ],
)
def test_every_way_to_save_a_text_is_read(tmp_path: Path, codec: str, mark: bytes, end: str) -> None:
    key, _ = make_key(tmp_path)
    text = end.join([key, "", "# of the office", f'  restrict,command="echo \\"x y\\"" {key}', ""])
    assert read(tmp_path, mark + text.encode(codec)) == (f'{key}\nrestrict,command="echo \\"x y\\"" {key}\n', "")


def test_what_powershell_appends_to_the_file_as_shipped(tmp_path: Path) -> None:
    """`type id.pub >> authorized_keys` of Windows PowerShell 5 puts UTF-16 behind what is there."""
    key, _ = make_key(tmp_path)
    ours = " ".join(key.split()[:2])
    shipped = (ROOT / "image/boot_files/authorized_keys").read_bytes()
    assert read(tmp_path, shipped + f"{ours} me@home\r\n".encode("utf-16-le")) == (f"{ours} me@home\n", "")
    assert read(tmp_path, shipped) == ("", "")


def test_what_is_no_key_is_told_with_its_line(tmp_path: Path) -> None:
    key, _ = make_key(tmp_path)
    kept, told = read(tmp_path, f"# mine\n{key[:50]}\n\n{key}\nhello\n".encode())
    assert kept == f"{key}\n"
    assert told.splitlines() == [
        "authorized_keys:2: the key after 'ssh-ed25519' is not whole (copy the one line of the .pub file again)",
        f"authorized_keys:5: {NO_KEY}",
    ]


def test_a_private_key_is_named_and_never_shown(tmp_path: Path) -> None:
    key, private = make_key(tmp_path)
    kept, told = read(tmp_path, f"{private}{key}\n".encode("utf-16"))
    assert kept == f"{key}\n"
    assert told.startswith("authorized_keys:1: is a private key, which nobody but you must have")
    assert len(told.splitlines()) == 1
    kept, told = read(tmp_path, private.replace("-----BEGIN OPENSSH PRIVATE KEY-----\n", "").encode())
    assert kept == ""
    assert not any(told.count(line[at : at + 8]) for line in private.splitlines()[1:-1] for at in range(len(line) - 8))


def test_a_file_that_is_no_list_of_keys_ends_soon(tmp_path: Path) -> None:
    key, _ = make_key(tmp_path)
    kept, told = read(tmp_path, f"{key}\n".encode() + b"ssh-ed25519 AAAAgg\n" * 5000)
    assert kept == f"{key}\n"
    assert told.splitlines()[5:] == [
        "authorized_keys: 95 more lines are no public keys",
        "authorized_keys: what comes after line 101 was not read",
        "authorized_keys: is longer than 65536 bytes; the rest was not read",
    ]
