"""Lines of authorized_keys that are no keys: found before systemd starts, told beside the file, and no longer once they
are mended.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from image.steps.root import sum_as_shipped
from skywire_board.errors import SetupError
from tests.house.tree import ROOT
from tests.skywire_board.claim.test_read_keys import make_key
from tests.skywire_board.setup.scene import Scene
from tests.skywire_board.throwaway import Throwaway, can_have_a_root

NOTES, SUMS = "run/skywire/keys-notes", "data/setup/applied.sums"
TOLD = "authorized_keys:2: the key after 'ssh-ed25519' is not whole (copy the one line of the .pub file again)"
NOTE_SETTINGS = 'eval "$(sed -n "/^note_settings() {/,/^}/p" /mount-data)"; note_settings'


def note(scene: Scene, text: str) -> None:
    (scene.root / NOTES).write_text(text)


def test_they_are_told_beside_the_file(scene: Scene) -> None:
    scene.write("name: attic\n")
    note(scene, f"{TOLD}\n")
    assert scene.apply() == [TOLD]
    assert scene.report == f"note: {TOLD}"
    assert scene.text("run/skywire/etc/hostname") == "attic\n", "and nothing else is kept back"
    assert "  keys-notes\n" in scene.text(SUMS)
    note(scene, "")
    assert scene.apply() == []
    assert scene.report == ""
    assert "keys-notes" not in scene.text(SUMS)


def test_they_are_told_beside_an_error_and_other_notes_stay(scene: Scene) -> None:
    scene.write("name: attic\ntime_zone: Mars\n")
    note(scene, f"{TOLD}\n")
    with pytest.raises(SetupError):
        scene.apply()
    first, *_, last = scene.report.split("\r\n")
    assert first.startswith("skywire.yaml:2: key 'time_zone'")
    assert last == f"note: {TOLD}"
    scene.write("wifi: {country: DE, ssid: my net, password: ________}\n")
    about_wifi, about_keys = scene.apply()
    assert about_wifi.startswith("Wi-Fi is left out")
    assert about_keys == TOLD
    note(scene, "")
    assert scene.apply() == [about_wifi], "the file that was noted is still the same"
    assert scene.report == f"note: {about_wifi}"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Throwaway]:
    with Throwaway(tmp_path) as board:
        for name in ("data/setup", "boot/firmware", "run/skywire"):
            (board.root / name).mkdir(parents=True, exist_ok=True)
        (board.root / "mount-data").write_text((ROOT / "image/initramfs/mount-data").read_text())
        (board.root / "usr/lib/skywire/as-shipped.sums").write_text(sum_as_shipped())
        for name in ("skywire.yaml", "authorized_keys"):
            (board.root / "boot/firmware" / name).write_bytes((ROOT / "image/boot_files" / name).read_bytes())
        yield board


@pytest.mark.skipif(not can_have_a_root(), reason="needs root and a mount namespace")
def test_mount_data_starts_set_up_only_when_it_has_something_to_tell(board: Throwaway, scene: Scene) -> None:
    wanted, keys = board.root / "run/skywire/setup-wanted", board.root / "boot/firmware/authorized_keys"
    key, _ = make_key(scene.root)

    def starts() -> bool:
        wanted.unlink(missing_ok=True)
        done = board.run("sh", "-c", NOTE_SETTINGS)
        assert (done.returncode, done.stderr) == (0, "")
        return wanted.exists()

    assert not starts(), "as shipped"
    keys.write_bytes(f"{key}\r\n".encode("utf-16"))
    assert not starts(), "a key, however it is saved"
    keys.write_text(f"# mine\n{key[:50]}\n")
    assert starts()
    scene.write((ROOT / "image/boot_files/skywire.yaml").read_text())
    note(scene, (board.root / NOTES).read_text())
    scene.apply()
    assert scene.report == f"note: {TOLD}"
    (board.root / SUMS).write_text(scene.text(SUMS))
    assert not starts(), "told already"
    keys.write_text(f"{key}\n")
    assert starts(), "the note has to go"
    (board.root / SUMS).unlink()
    keys.rename(keys.with_name("authorized_keys.txt"))
    assert starts()
    told = (board.root / NOTES).read_text()
    assert told == "authorized_keys.txt: is not read (call it authorized_keys, without .txt)\n"
