"""`image/flash` as a person runs it, on plain files and on loop devices."""

import os
import pty
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from image.errors import FlashError
from image.flashing.checking import node_id
from image.flashing.commands import find_image
from image.recipe import HERE, SECTOR, Recipe
from image.run import Runner
from tests.image.flashing.conftest import OLD, check_fat, make_image, read_fat_file
from tests.image.flashing.test_settings import INVITE, KEY


def flash(*words: str | Path, said: str = "", code: int = 0) -> str:
    """What it printed; `said` is what the person types."""
    command = [sys.executable, "-m", "image.flashing", *map(str, words)]
    env = os.environ | {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=False, env=env, timeout=100)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def at_terminal(*words: str | Path, typed: dict[str, str], code: int = 0) -> str:
    """What a terminal of 80 columns showed; `typed`: what is shown → what the person answers."""
    person, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    command = [sys.executable, "-m", "image.flashing", *map(str, words)]
    env, end = os.environ | {"PYTHONPATH": str(HERE.parent)}, time.monotonic() + 100
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=env) as flashing:
        os.close(terminal)
        told, answers = "", dict(typed)
        while select.select([person], [], [], max(0.0, end - time.monotonic()))[0]:
            try:
                told += os.read(person, 4096).decode(errors="replace")
            except OSError:  # its last user has gone
                break
            for asked in [asked for asked in answers if asked in told]:
                os.write(person, f"{answers.pop(asked)}\n".encode())
        else:
            flashing.kill()
        os.close(person)
        assert flashing.wait(10) == code, told
    assert not answers, told
    return told.replace("\r\n", "\n")


def settings(card: Path, recipe: Recipe) -> object:
    return yaml.safe_load(read_fat_file(card, recipe, "skywire.yaml"))


def untouched(card: Path) -> bool:
    with card.open("rb") as file:
        return file.read(len(OLD)) == OLD


def test_a_card_is_written_and_personalised(image: Path, recipe: Recipe, card: Path, tmp_path: Path) -> None:
    key, invite = tmp_path / "key.pub", tmp_path / "invite"
    key.write_text(f"{KEY}\n")
    invite.write_text(f"{INVITE}\n")
    words = " ".join(["abandon"] * 23 + ["art"])
    told = flash(
        card, "--image", image, "--name", "attic", "--ssh-key", key, "--time-zone", "Asia/Tokyo", "--wifi", "my net",
        "--country", "JP", "--address", "192.0.2.5/24,192.0.2.1", "--invite", invite, "--role", "member", "--restore",
        said=f"correct horse\n{words}\ny\n",
    )  # fmt: skip
    for word in ("a plain file", "3.2 GB", "bring back node", "reading back", "done: the card of 'attic'"):
        assert word in told
    assert "correct horse" not in told
    assert settings(card, recipe) == {
        "name": "attic",
        "time_zone": "Asia/Tokyo",
        "invite": INVITE,
        "role": "member",
        "identity": words,
        "ssh_keys": [KEY],
        "wifi": {"country": "JP", "ssid": "my net", "password": "correct horse"},
        "network": {"ethernet": {"address": "192.0.2.5/24", "gateway": "192.0.2.1", "dns": ["192.0.2.1"]}},
    }
    check_fat(card, recipe, tmp_path)


@pytest.mark.parametrize(
    ("words", "said", "why"),
    [
        (["--name", "at_tic", "--yes"], "", "the board would refuse this: key 'name': must be"),
        (["--time-zone", "Mars/Base", "--yes"], "", "key 'time_zone'"),
        (["--name", "attic"], "n\n", "nothing was written to"),
        (["--wifi", "x"], "", "standard input ended where the password of 'x'"),
        (["--ssh-key", "nosuch.pub"], "", "cannot read the key 'nosuch.pub'"),
        (["--restore", "--yes"], "abandon ability\n\n", "must be 24 words, not 2"),
        (["--boot-files", "--yes"], "", "is no Skywire Board card"),
        (["--image", "nosuch.img", "--yes"], "", "there is no image 'nosuch.img' (build it"),
        (["--image", "image", "--yes"], "", "there is no image 'image'"),
        (["--image", "README.md", "--yes"], "", "'README.md' is no card image of Skywire Board"),
        (["--image", "/dev/null", "--yes"], "", "there is no image '/dev/null'"),
        (["--ssh-key", "README.md", "--yes"], "", "'README.md' is too long for a file with a key"),
        (["--ssh-key", "image/flash", "--yes"], "", "'image/flash' is no public key: expected a line such as"),
        (["--ssh-key", "/dev/null", "--yes"], "", "'/dev/null' is no public key"),
        (["--invite", "image/flash", "--yes"], "", "'image/flash' is no invitation: expected the one line"),
        (["--invite", "-", "--yes"], "\n", "what was given is no invitation"),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_written(
    image: Path, card: Path, words: list[str], said: str, why: str
) -> None:
    assert why in flash(card, "--image", image, *words, said=said, code=1)
    assert untouched(card)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--rack", "3"], "--rack numbers its boards by a name"),
        (["--rack", "3", "--name", "sky", "--role", "member"], "--role differs from card to card"),
        (["--rack", "3", "--name", "sky", "--address", "192.0.2.5/24"], "--address differs from card to card"),
        (["--country", "DE"], "--country 'DE' is of a Wi-Fi: name it too (--wifi SSID)"),
        (["--name", ""], "--name is empty"),
        (["--wifi", ""], "--wifi is empty"),
        (
            ["--boot-files", "--name", "attic"],
            "--boot-files leaves the settings as they are, so it goes without --name",
        ),
        (["--boot-files", "--ssh-key", "x.pub"], "goes without --ssh-key"),
        (["--frobnicate"], "No such option"),
    ],
)
def test_what_is_asked_wrongly_ends_with_2(image: Path, card: Path, words: list[str], why: str) -> None:
    assert why in " ".join(flash(card, "--image", image, "--yes", *words, code=2).split())
    assert untouched(card)


def test_the_image_is_found_where_one_stands_or_beside_the_program(tmp_path: Path) -> None:
    here, tree = tmp_path / "here", tmp_path / "tree"
    for folder, name in ((here, "a.img.xz"), (tree, "b.img.xz"), (tree, "b.img")):
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
    assert find_image(here, tree) == here / "a.img.xz"
    assert find_image(tmp_path / "none", tree) == tree / "b.img"
    with pytest.raises(FlashError, match=r"no image in '.*none' \(run: sudo image/build"):
        find_image(tmp_path / "none")


def test_the_help_says_what_an_invitation_must_be_in_80_columns() -> None:
    told = flash("--help")
    assert max(map(len, told.splitlines())) <= 80
    assert "for --rack 8, `manager invite --uses 8 --lasts 7d`" in " ".join(told.split())


def test_a_card_is_looked_at_before_anything_is_asked(image: Path, tmp_path: Path) -> None:
    told = flash(tmp_path / "none", "--image", image, "--wifi", "x", "--restore", code=1)
    assert told.startswith("error: cannot look at ")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_that_windows_saved_are_read(
    image: Path, recipe: Recipe, card: Path, tmp_path: Path, encoding: str
) -> None:
    """An invitation may have its note, and the code for a camera, around it."""
    key, invite = tmp_path / "key.pub", tmp_path / "invite"
    key.write_bytes(f"{KEY}\r\n".encode(encoding))
    invite.write_bytes(f"for 1 nodes, 1h from now; it joins at 192.0.2.1:7997\r\n▀█\r\n{INVITE}\r\n".encode(encoding))
    told = flash(card, "--image", image, "--name", "attic", "--ssh-key", key, "--invite", invite, "--yes")
    assert "when its board is up: ssh viscript@attic.local" in told
    assert settings(card, recipe) == {"name": "attic", "invite": INVITE, "ssh_keys": [KEY]}


def test_an_empty_password_at_a_terminal_is_an_open_network(image: Path, recipe: Recipe, card: Path) -> None:
    told = at_terminal(card, "--image", image, "--no-ssh-key", "--wifi", "cafe", "--yes", typed={"password of": ""})
    assert "'cafe' is taken for an open network" in told
    assert settings(card, recipe) == {"wifi": {"ssid": "cafe"}}
    told = at_terminal(
        card, "--image", image, "--no-ssh-key", "--wifi", "cafe", "--yes", typed={"password of": "correct horse"}
    )
    assert "correct horse" not in told
    assert "open network" not in told.partition("\n")[2]
    assert settings(card, recipe) == {"wifi": {"ssid": "cafe", "password": "correct horse"}}


def test_a_card_that_is_too_small_is_refused(image: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    with small.open("wb") as file:
        file.truncate(1 << 30)
    assert "holds 1.1 GB, and 1.7 GB are needed" in flash(small, "--image", image, "--yes", code=1)
    assert "cannot look at" in flash(tmp_path / "none", "--image", image, "--yes", code=1)


def test_a_rack_of_cards(image: Path, recipe: Recipe, card: Path, tmp_path: Path) -> None:
    invite = tmp_path / "invite"
    invite.write_text(INVITE)
    told = flash(card, "--image", image, "--name", "sky", "--rack", "2", "--invite", invite, "--yes", said="\n\n")
    assert "this invitation: it must be for 2 boards" in told
    assert "manager invite --uses 2 --lasts 7d" in told.partition("card 1 of 2, 'sky-1'")[0]
    assert "done: the card of 'sky-1'" in told
    assert settings(card, recipe) == {"name": "sky-2", "invite": INVITE}


def test_a_rack_from_nothing(image: Path, recipe: Recipe, card: Path) -> None:
    rack: list[str | Path] = ["--image", image, "--name", "sky", "--rack", "2", "--yes"]
    told = flash(card, *rack, said="\n", code=1)  # the person walks away after the first card
    assert "'sky-1' will be the manager" in told
    found = settings(card, recipe)
    assert isinstance(found, dict)
    assert set(found) == {"name", "role", "identity", "admit"}
    assert (found["name"], found["role"], len(found["identity"].split())) == ("sky-1", "manager", 24)
    assert len(found["admit"][0]) == 64
    flash(card, *rack, said="\n\n")
    found = settings(card, recipe)
    assert isinstance(found, dict)
    assert set(found) == {"name", "role", "identity", "invite"}
    assert "@sky-2.local" not in found["invite"]
    assert "@sky-1.local:7997/" in found["invite"]


def test_a_bad_card_of_a_rack_is_replaced(image: Path, recipe: Recipe, run: Runner, card: Path) -> None:
    """The second card fails; another becomes the very board that the first admits."""
    words = [card, "--image", image, "--name", "sky", "--rack", "2", "--yes"]
    command, env = (
        [sys.executable, "-m", "image.flashing", *map(str, words)],
        os.environ | {"PYTHONPATH": str(HERE.parent)},
    )
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True, env=env) as flashing:
        ends = threading.Timer(100, flashing.kill)
        ends.start()
        try:
            assert flashing.stdin is not None
            assert flashing.stdout is not None
            assert flashing.stderr is not None
            print(file=flashing.stdin, flush=True)
            assert any("done: the card of 'sky-1'" in line for line in flashing.stdout)
            first = settings(card, recipe)
            os.truncate(card, 1 << 20)
            print(file=flashing.stdin, flush=True)
            assert "card 2 of 2, 'sky-2' failed:" in flashing.stderr.readline()
            os.truncate(card, 3 << 30)
            told, wrong = flashing.communicate("y\n\n", 100)
        finally:
            ends.cancel()
            flashing.kill()
    assert (flashing.returncode, "done: the card of 'sky-2'" in told) == (0, True), wrong
    second = settings(card, recipe)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert [node_id(run, second["identity"])] == first["admit"]


def test_boot_files_are_brought_up_to_date(
    image: Path, recipe: Recipe, run: Runner, card: Path, tmp_path: Path
) -> None:
    flash(card, "--image", image, "--name", "attic", "--yes")
    place = f"{card}@@{recipe.disk.fat_lba * SECTOR}"
    run("mcopy", "-o", "-i", place, "-", "::config.txt", stdin=b"old=1\r\n[all]\r\ndtparam=spi=on\r\n")
    run("mcopy", "-o", "-i", place, "-", "::user-data", stdin=b"#cloud-config\n")
    run("mdel", "-i", place, "::skywire-error.txt")
    with card.open("r+b") as file:
        file.seek(recipe.disk.data_lba * SECTOR)
        file.write(b"precious")
    new = make_image(tmp_path / "new", recipe, run, b"boot script, newer")
    told = flash(card, "--image", new, "--boot-files", said="y\n")
    assert "written and read back: boot.scr, config.txt, skywire-error.txt" in told
    assert read_fat_file(card, recipe, "boot.scr") == b"boot script, newer"
    assert read_fat_file(card, recipe, "config.txt") == b"arm_64bit=1\n[all]\ndtparam=spi=on\n"
    assert settings(card, recipe) == {"name": "attic"}
    with card.open("rb") as file:
        file.seek(recipe.disk.data_lba * SECTOR)
        assert file.read(8) == b"precious"
    assert "nothing, all of it is up to date" in flash(card, "--image", new, "--boot-files", "--yes")
    check_fat(card, recipe, tmp_path)


@contextmanager
def loop(card: Path) -> Iterator[Path]:
    said = subprocess.run(
        ["losetup", "-P", "-f", "--show", str(card)], capture_output=True, text=True, check=True
    ).stdout
    try:
        yield Path(said.strip())
    finally:
        subprocess.run(["losetup", "-d", said.strip()], check=True)


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="needs root and loop devices")
def test_a_disk_is_looked_at_before_it_is_overwritten(image: Path, recipe: Recipe, card: Path, tmp_path: Path) -> None:
    with loop(card) as device:
        assert "is not a removable disk (if it is the card" in flash(device, "--image", image, "--yes", code=1)
        assert untouched(card)
        told = flash(device, "--image", image, "--even-if-not-removable", "--name", "attic", said="y\n")
        assert str(card) in told
        check_fat(card, recipe, tmp_path)
        assert settings(card, recipe) == {"name": "attic"}
    with loop(card) as device:
        part = Path(f"{device}p1")
        if part.exists():
            assert f"is a partition: name the whole disk, '{device}'" in flash(part, "--image", image, "--yes", code=1)
            (tmp_path / "mount").mkdir()
            subprocess.run(["mount", "-o", "ro", part, tmp_path / "mount"], check=True)
            try:
                told = flash(device, "--image", image, "--yes", "--even-if-not-removable", code=1)
                assert f"{part.name} is mounted on {tmp_path / 'mount'}" in told
            finally:
                subprocess.run(["umount", tmp_path / "mount"], check=True)
