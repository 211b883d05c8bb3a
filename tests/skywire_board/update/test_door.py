"""The update door over its real socket, and the words of the shell's client. RAUC itself runs on the emulated board
(tests/boot/update_rows.py); here three small programs stand for it, its bus and systemd (tests/fakes/rauc.py).
"""

import asyncio
import base64
import errno
import io
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skywire_board.bootstate.codec import BootState
from skywire_board.errors import UpdateError
from skywire_board.update import client
from skywire_board.update.installing import check
from skywire_board.update.model import BootNote, Bundle, Last, Trial
from skywire_board.update.notes import Notes
from skywire_board.update.rauc import read_bundle
from skywire_board.update.server import Door
from skywire_board.update.settle import Seen, settle
from skywire_board.update.words import FOLLOWS, Install, Installed, Progress
from tests.fakes.rauc import DIGEST, NOTE, put_notes, put_rauc


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return put_notes(tmp_path)


@pytest.fixture
def door(tmp_path: Path, notes: Notes) -> Iterator[str]:
    """The path of a door that answers in a thread of its own."""
    path = str(tmp_path / "update.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    door = Door(notes, put_rauc(tmp_path), reboot=("touch", str(tmp_path / "restarted")))
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
    with Path(source).open("rb") as upload:
        return list(client.install(Install(FOLLOWS, size=Path(source).stat().st_size, **more), upload, door))


def test_an_installation_is_told_and_noted(door: str, notes: Notes, tmp_path: Path) -> None:
    answers = install(door, bundle(tmp_path, "hsqs-signed 0.3.0+b skywire-board-arm64"))
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


def test_what_was_sent_is_not_kept(door: str, tmp_path: Path) -> None:
    install(door, bundle(tmp_path, "hsqs-signed 0.3.0+b skywire-board-arm64"))
    assert not (tmp_path / "update/incoming.raucb").exists()


def test_a_bundle_may_come_without_its_size(door: str) -> None:
    upload = io.BytesIO(b"hsqs-signed 0.3.0+b skywire-board-arm64\n")
    assert list(client.install(Install(FOLLOWS), upload, door))[-1] == Installed("0.3.0+b", "B")


@pytest.mark.parametrize(
    ("size", "why"), [(50, r"ended after 40 of 50 bytes"), (1 << 50, r"no room .*: it has 1073741824 MB")]
)
def test_a_bundle_of_another_size_is_refused(door: str, notes: Notes, size: int, why: str) -> None:
    upload = io.BytesIO(b"hsqs-signed 0.3.0+b skywire-board-arm64\n")
    with pytest.raises(client.UpdateRefusedError, match=why):
        list(client.install(Install(FOLLOWS, size=size), upload, door))
    assert notes.trial() is None


def test_an_empty_bundle_is_named(door: str) -> None:
    with pytest.raises(client.UpdateRefusedError, match="the bundle is empty"):
        install(door, "/dev/null")


class Torn(io.BytesIO):
    """A file on a card that gives some of it and then a read error."""

    name = "/home/admin/torn.raucb"

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            raise OSError(errno.EIO, "Input/output error")
        return data


def test_a_bundle_that_cannot_be_read_to_its_end_is_not_installed(door: str, notes: Notes) -> None:
    upload = Torn(b"hsqs-signed 0.3.0+b skywire-board-arm64\n")
    with pytest.raises(client.UploadError, match=r"'/home/admin/torn.raucb' cannot be read to its end: Input/output"):
        list(client.install(Install(FOLLOWS, size=1000), upload, door))
    until(lambda: not client.status(door).running)
    assert notes.trial() is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("forged 0.3.0+b skywire-board-arm64", "signature verification failed"),
        ("hsqs-signed 0.3.0+b another-board", "the bundle is for 'another-board', and this board takes"),
        ("hsqs-signed 0.1.9+b skywire-board-arm64", "is older than 0.2.0+a, which runs (add --older to go back)"),
        ("hsqs-signed 0.3.0+b skywire-board-arm64 torn", "Failed updating slot system.1: no space"),
        ("hsqs-signed 0.3.0+b skywire-board-arm64 gone", "RAUC ended in the middle"),
    ],
)
def test_what_must_not_be_installed_is_refused(door: str, notes: Notes, tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(client.UpdateRefusedError) as caught:
        install(door, bundle(tmp_path, text))
    assert why in str(caught.value)
    assert notes.trial() is None
    assert notes.boot() is not None


def test_older_versions_are_installed_when_that_is_said(door: str, tmp_path: Path) -> None:
    source = bundle(tmp_path, "hsqs-signed 0.1.9+b skywire-board-arm64")
    assert install(door, source, older=True)[-1] == Installed("0.1.9+b", "B")


@pytest.mark.parametrize("source", ["board.raucb", "/nowhere/board.raucb", "ftp://x/y"])
def test_a_source_that_is_none_is_named(door: str, source: str) -> None:
    with pytest.raises(client.UpdateRefusedError, match=f"'{source}' is no address"):
        list(client.install(Install(source), path=door))


def test_a_board_on_trial_takes_nothing(door: str, notes: Notes, tmp_path: Path) -> None:
    notes.write_boot(BootNote("B", "A", trial=True, mesh_before=False, good=False, rolled_back="", version="0.2.0+a"))
    with pytest.raises(client.UpdateRefusedError, match="slot B is on trial itself"):
        install(door, bundle(tmp_path, "hsqs-signed 0.3.0+b skywire-board-arm64"))


def test_one_installation_at_a_time_and_who_hangs_up_stops_it(door: str, notes: Notes, tmp_path: Path) -> None:
    source = bundle(tmp_path, "hsqs-signed 0.3.0+b skywire-board-arm64 slow")
    upload = io.BytesIO(Path(source).read_bytes())
    first = client.install(Install(FOLLOWS, size=len(upload.getvalue())), upload, door)
    assert any(answer == Progress(40, "Copying image to system.1") for answer in first), "it is under way"
    assert (client.status(door).running, client.status(door).percent) == (True, 40)
    with pytest.raises(client.UpdateRefusedError, match="another installation is under way"):
        install(door, source)
    first.close()  # type: ignore[attr-defined]  # a generator: its connection ends here
    until(lambda: not client.status(door).running)
    until(lambda: notes.last().text == "the installation of version 0.3.0+b was stopped")
    assert notes.trial() is None
    assert (tmp_path / "systemctl.log").read_text().split()[-1] == "stop"


def test_a_login_in_an_address_is_told_to_rauc_alone(
    door: str, notes: Notes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a header, since RAUC logs addresses; nothing of it is logged, kept or answered here."""
    path = bundle(tmp_path, "hsqs-signed 0.3.0+b skywire-board-arm64 torn")
    source = f"https://bob:hush%404711@host.example:8443{path}"
    with pytest.raises(client.UpdateRefusedError, match="Failed updating"):
        list(client.install(Install(source), path=door))
    assert f"'https://host.example:8443{path}' is not installed" in caplog.text
    bundle(tmp_path, "hsqs-signed 0.3.0+b skywire-board-arm64")
    assert list(client.install(Install(source), path=door))[-1] == Installed("0.3.0+b", "B")
    with pytest.raises(client.UpdateRefusedError, match=r"'ftp://host/x' is no address"):
        list(client.install(Install("ftp://bob:hush@host/x"), path=door))
    header = "Authorization: Basic " + base64.b64encode(b"bob:hush@4711").decode()
    for name, word in (("busctl", header), ("rauc", f"--http-header={header}")):
        words = (tmp_path / f"{name}.log").read_text().splitlines()
        assert words.count(word) == 2
        assert words.count(f"https://host.example:8443{path}") == 2
        assert "hush" not in "".join(words)
    kept = "".join(file.read_text() for file in notes.folder.iterdir())
    assert "0.3.0+b" in kept
    assert "hush" not in caplog.text + kept


def test_what_was_rolled_back_ends_when_somebody_knows(door: str, notes: Notes) -> None:
    """Its last word stays, and no later boot brings the light back."""
    story = "version 0.3.0+b in slot B was taken back: the mesh was not reached"
    notes.write_last(Last(story, story, 1.0))
    notes.write_boot(msgspec.structs.replace(NOTE, rolled_back=story))
    assert client.status(door).rolled_back == story
    assert client.status(door).rolled_back == story, "to ask changes nothing"
    seen = client.status(door, seen=True)
    assert (seen.rolled_back, seen.last, seen.last_at) == ("", story, 1.0)
    assert client.status(door) == seen
    note = notes.boot()
    assert note is not None
    assert note.rolled_back == ""
    again = settle(Seen("A", "", "0.2.0+a", BootState(), notes.trial(), notes.last()), 2.0)
    assert (again.note.rolled_back, again.last) == ("", notes.last())


def test_what_cannot_be_kept_is_not_seen(door: str, notes: Notes) -> None:
    notes.write_last(Last("gone", "gone", 1.0))
    (notes.folder / ".last.json.new").mkdir()
    (notes.folder / ".last.json.new/x").touch()
    with pytest.raises(client.UpdateRefusedError, match="cannot note it on the data partition"):
        client.status(door, seen=True)
    assert client.status(door).rolled_back == NOTE.rolled_back


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
