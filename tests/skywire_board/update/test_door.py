"""The update door over its real socket, and the words of the shell's client. RAUC itself runs on the emulated board
(tests/boot/update_rows.py); here three small programs stand for it, its bus and systemd: they refuse what those refuse.
"""

import asyncio
import io
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skywire_board.errors import UpdateError
from skywire_board.update import client
from skywire_board.update.installing import check
from skywire_board.update.model import BootNote, Bundle, Last, Trial
from skywire_board.update.notes import Notes
from skywire_board.update.rauc import Rauc, read_bundle
from skywire_board.update.server import Door
from skywire_board.update.words import Install, Installed, Progress

DIGEST = "98b254928e2f97a05e7e29c6027c18f165ca11228a1b6268d387d0d20514b1f1"
NOTE = BootNote("A", "B", trial=False, mesh_before=False, good=True, rolled_back="an older story", version="0.2.0+a")
SYSTEMCTL = """#!/bin/sh
echo "$1" >>"$0.log"
"""
BUSCTL = """#!/bin/sh
# InspectBundle sa{sv} SOURCE 0: a bundle is a file that begins with "signed VERSION COMPATIBLE"
for source; do case $source in /*) break ;; esac; done
for word; do case $word in /data/*|/tmp/*) source=$word ;; esac; done
read -r signed version compatible rest <"$source"
if [ "$signed" != signed ]; then echo "Call failed: signature verification failed: wrong key" >&2; exit 1; fi
cat <<END
{"type":"a{sv}","data":[{"update":{"type":"a{sv}","data":{"compatible":{"type":"s","data":"$compatible"},
"version":{"type":"s","data":"$version"}}},"images":{"type":"aa{sv}","data":[{"slot-class":{"type":"s","data":"system"},
"checksum":{"type":"s","data":"DIGEST"},"size":{"type":"t","data":4096}}]}}]}
END
"""
RAUC = """#!/bin/sh
read -r signed version compatible how <"$2"
echo "installing"; echo "  0% Installing"; echo " 40% Copying image to system.1"
case $how in
  slow) exec sleep 60 ;;
  gone) exit 2 ;;
  torn) echo "LastError: Installation error: Failed updating slot system.1: no space"; exit 1 ;;
esac
echo "100% Installing done."; echo "Installing \\`$2\\` succeeded"
"""


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    (tmp_path / "version").write_text("0.2.0+a\n")
    notes = Notes(tmp_path / "update", tmp_path / "boot.json", tmp_path / "version")
    notes.write_boot(NOTE)
    return notes


@pytest.fixture
def door(tmp_path: Path, notes: Notes) -> Iterator[str]:
    """The path of a door that answers in a thread of its own."""
    programs = {"systemctl": SYSTEMCTL, "busctl": BUSCTL.replace("DIGEST", DIGEST), "rauc": RAUC}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    path = str(tmp_path / "update.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    rauc = Rauc(*(str(tmp_path / name) for name in programs))
    door = Door(notes, rauc, reboot=("touch", str(tmp_path / "restarted")))
    thread = threading.Thread(target=lambda: asyncio.run(door.serve(listener, idle_s=0.5)))
    thread.start()
    yield path
    thread.join(30)
    assert not thread.is_alive(), "the door ends when nobody asks"


def bundle(tmp_path: Path, text: str) -> str:
    path = tmp_path / "board.raucb"
    path.write_text(text + "\n")
    return str(path)


def install(door: str, source: str, **more: Any) -> list[Any]:
    return list(client.install(Install(source, **more), path=door))


def test_an_installation_is_told_and_noted(door: str, notes: Notes, tmp_path: Path) -> None:
    answers = install(door, bundle(tmp_path, "signed 0.3.0+b skywire-board-arm64"))
    assert answers[-1] == Installed("0.3.0+b", "B")
    assert Progress(40, "Copying image to system.1") in answers
    trial = notes.trial()
    assert trial is not None
    assert (trial.slot, trial.digest, trial.size, trial.was, trial.mesh_before) == ("B", DIGEST, 4096, "0.2.0+a", False)
    note = notes.boot()
    assert note is not None
    assert note.rolled_back == "", "what was rolled back before is forgotten"
    assert client.status(door).installed == "0.3.0+b"
    assert (tmp_path / "systemctl.log").read_text() == "start\nstop\n", "RAUC runs only for that"


def test_a_bundle_may_come_over_the_connection(door: str, tmp_path: Path) -> None:
    upload = io.BytesIO(b"signed 0.3.0+b skywire-board-arm64\n")
    assert list(client.install(Install("-"), upload, door))[-1] == Installed("0.3.0+b", "B")
    assert not (tmp_path / "update/incoming.raucb").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("forged 0.3.0+b skywire-board-arm64", "signature verification failed"),
        ("signed 0.3.0+b another-board", "the bundle is for 'another-board', and this board takes"),
        ("signed 0.1.9+b skywire-board-arm64", "is older than 0.2.0+a, which runs (add --older to go back)"),
        ("signed 0.3.0+b skywire-board-arm64 torn", "Failed updating slot system.1: no space"),
        ("signed 0.3.0+b skywire-board-arm64 gone", "RAUC ended in the middle"),
    ],
)
def test_what_must_not_be_installed_is_refused(door: str, notes: Notes, tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(client.UpdateRefusedError) as caught:
        install(door, bundle(tmp_path, text))
    assert why in str(caught.value)
    assert notes.trial() is None
    assert notes.boot() is not None


def test_older_versions_are_installed_when_that_is_said(door: str, tmp_path: Path) -> None:
    source = bundle(tmp_path, "signed 0.1.9+b skywire-board-arm64")
    assert install(door, source, older=True)[-1] == Installed("0.1.9+b", "B")


@pytest.mark.parametrize("source", ["board.raucb", "/nowhere/board.raucb", "ftp://x/y"])
def test_a_source_that_is_none_is_named(door: str, source: str) -> None:
    with pytest.raises(client.UpdateRefusedError, match=source):
        install(door, source)


def test_a_board_on_trial_takes_nothing(door: str, notes: Notes, tmp_path: Path) -> None:
    notes.write_boot(BootNote("B", "A", trial=True, mesh_before=False, good=False, rolled_back="", version="0.2.0+a"))
    with pytest.raises(client.UpdateRefusedError, match="slot B is on trial itself"):
        install(door, bundle(tmp_path, "signed 0.3.0+b skywire-board-arm64"))


def test_one_installation_at_a_time_and_who_hangs_up_stops_it(door: str, notes: Notes, tmp_path: Path) -> None:
    source = bundle(tmp_path, "signed 0.3.0+b skywire-board-arm64 slow")
    first = client.install(Install(source), path=door)
    assert any(answer == Progress(40, "Copying image to system.1") for answer in first), "it is under way"
    assert (client.status(door).running, client.status(door).percent) == (True, 40)
    with pytest.raises(client.UpdateRefusedError, match="another installation is under way"):
        install(door, source)
    first.close()  # type: ignore[attr-defined]  # a generator: its connection ends here
    until(lambda: not client.status(door).running)
    until(lambda: notes.last().text == "the installation of version 0.3.0+b was stopped")
    assert notes.trial() is None
    assert (tmp_path / "systemctl.log").read_text().split()[-1] == "stop"


def test_restarting_is_left_to_systemd(door: str, tmp_path: Path) -> None:
    client.reboot(door)
    until((tmp_path / "restarted").exists)


def test_what_is_no_request_is_refused(door: str) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(door)
        line.sendall(b'{"do":"format"}\n')
        assert b'"is":"refused","text":"not understood' in line.recv(1000)


def test_an_answer_of_rauc_that_is_unknown_is_told() -> None:
    with pytest.raises(UpdateError, match="words that are not known here"):
        read_bundle(b'{"type":"a{sv}","data":[{}]}')


def test_the_same_version_may_be_installed_again() -> None:
    check(Bundle("0.2.0+c", "skywire-board-arm64", "", 0), "0.2.0+a", older=False)


def test_damaged_notes_are_none(notes: Notes) -> None:
    notes.write_trial(Trial("B", "1", "", 0, "0", mesh_before=False, at=0.0))
    (notes.folder / "trial.json").write_text('{"slot":')
    (notes.folder / "last.json").write_text("")
    assert (notes.trial(), notes.last()) == (None, Last())


def until(holds: Callable[[], bool]) -> None:
    end = threading.Event()
    for _ in range(200):
        if holds():
            return
        end.wait(0.05)
    raise AssertionError("not within 10 s")
