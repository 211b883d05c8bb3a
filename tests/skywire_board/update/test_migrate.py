"""Data goes forward on copies and comes back after a rollback, whatever the moment of a power cut."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from skywire_board.errors import UpdateError
from skywire_board.update.migrate import migrate, migrate_card, read_bound, read_version
from skywire_board.update.schema import FIRST, MIGRATIONS, Migration, check_movable, known_version
from tests.house.tree import ROOT


class PowerCutError(Exception):
    pass


def rename_words(stage: Path) -> None:
    """The example: a word of a file has another name in version 2, and a file is new."""
    words = json.loads((stage / "mesh/node/state.json").read_text())
    (stage / "mesh/node/state.json").write_text(json.dumps({"peers": words["neighbours"]}))
    (stage / "mesh/new").mkdir(parents=True)
    (stage / "mesh/new/file").write_text("made by 2")


def count_peers(stage: Path) -> None:
    words = json.loads((stage / "mesh/node/state.json").read_text())
    (stage / "mesh/node/state.json").write_text(json.dumps({**words, "count": len(words["peers"])}))


TWO = Migration(2, ("mesh/node", "mesh/new"), rename_words)
THREE = Migration(3, ("mesh/node",), count_peers)
WRITABLE = ROOT / "rootfs_overlay/usr/lib/skywire/writable"
FIRST_STATE = '{"neighbours": ["a", "b"]}'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "mesh/node").mkdir(parents=True)
    (tmp_path / "mesh/node/state.json").write_text(FIRST_STATE)
    (tmp_path / "mesh/node").chmod(0o700)
    os.chown(tmp_path / "mesh/node/state.json", 970, 971)
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity/seed").write_text("seed")
    return tmp_path


def state(data: Path) -> str:
    return (data / "mesh/node/state.json").read_text()


def test_the_image_knows_what_the_code_knows() -> None:
    stamp = (ROOT / "rootfs_overlay/usr/lib/skywire/schema.json").read_bytes()
    assert json.loads(stamp) == {"version": known_version()}
    assert [migration.to for migration in MIGRATIONS] == list(range(2, known_version() + 1))
    check_movable(MIGRATIONS, read_bound(WRITABLE))


def test_data_of_today_is_stamped_and_left_alone(data: Path) -> None:
    migrate(data)
    assert (data / "schema.json").read_bytes() == (ROOT / "rootfs_overlay/usr/lib/skywire/schema.json").read_bytes()
    assert state(data) == FIRST_STATE


def test_forward_and_back(data: Path) -> None:
    assert migrate(data, (TWO, THREE)) == "data of version 1, now 3"
    assert json.loads(state(data)) == {"peers": ["a", "b"], "count": 2}
    seen = (data / "mesh/node/state.json").stat()
    assert (seen.st_uid, seen.st_gid, (data / "mesh/node").stat().st_mode & 0o777) == (970, 971, 0o700)
    assert (data / "identity/seed").read_text() == "seed"
    assert not (data / ".migrating").exists()
    (data / "mesh/node/state.json").write_text('{"peers": ["c"], "count": 1}')

    assert migrate(data, ()) == "data of version 3, now 1"
    assert state(data) == FIRST_STATE
    assert not (data / "mesh/new").exists()
    kept = data / "after/3/mesh"
    assert ((kept / "node/state.json").read_text(), (kept / "new/file").read_text()) == (
        '{"peers": ["c"], "count": 1}', "made by 2",
    )  # fmt: skip
    assert migrate(data, (TWO,)) == "data of version 1, now 2"
    assert json.loads(state(data)) == {"peers": ["a", "b"]}


def test_a_cut_at_any_write_is_mended_by_the_newer_or_the_older_system(
    data: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change of a name or a file is a point where the power goes; then either system boots."""
    cuts = count_points(copy(data, tmp_path_factory), monkeypatch, lambda there: migrate(there, (TWO, THREE)))
    assert cuts > 10
    for cut in range(cuts):
        for older in (False, True):
            there = copy(data, tmp_path_factory)
            cut_at(cut, monkeypatch, partial(migrate, there, (TWO, THREE)))
            migrate(there, () if older else (TWO, THREE))
            expected = FIRST_STATE if older else '{"peers": ["a", "b"], "count": 2}'
            assert (cut, state(there), read_version(there)) == (cut, expected, 1 if older else 3)
            assert not (there / ".migrating").exists()


def test_a_cut_while_going_back_is_mended(
    data: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(data, (TWO, THREE))
    cuts = count_points(copy(data, tmp_path_factory), monkeypatch, lambda there: migrate(there, ()))
    for cut in range(cuts):
        there = copy(data, tmp_path_factory)
        cut_at(cut, monkeypatch, partial(migrate, there, ()))
        migrate(there, ())
        assert (cut, state(there), read_version(there)) == (cut, FIRST_STATE, 1)
        assert (there / "after/3/mesh/node/state.json").exists()


def test_a_migration_that_fails_leaves_the_data_and_says_why(data: Path, tmp_path: Path) -> None:
    (data / "mesh/node/state.json").write_text('{"other": 1}')
    with pytest.raises(UpdateError, match="could not be migrated: the step to version 2 failed: KeyError"):
        migrate_card(data, tmp_path / "damage", WRITABLE, (TWO,))
    assert (state(data), read_version(data)) == ('{"other": 1}', 1)
    assert "the step to version 2 failed: KeyError('neighbours')" in (tmp_path / "damage").read_text()
    (data / "schema.json").write_text("{")
    with pytest.raises(UpdateError, match="does not tell the version"):
        migrate_card(data, tmp_path / "damage", WRITABLE)
    assert "does not tell the version" in (tmp_path / "damage").read_text()


@pytest.mark.parametrize("touches", ["etc/skywire", "etc", "etc/machine-id", "var", "home/admin"])
def test_what_is_bound_to_its_place_is_not_moved(data: Path, tmp_path: Path, touches: str) -> None:
    """Else /etc/skywire of the running system would be the copy that was put aside."""
    (data / "etc/skywire").mkdir(parents=True)
    wrong = Migration(2, ("mesh/node", touches), lambda _: None)
    with pytest.raises(UpdateError, match=f"version 2 touches '{touches}', and '.*' is bound to its place"):
        migrate_card(data, tmp_path / "damage", WRITABLE, (wrong,))
    assert "is bound to its place" in (tmp_path / "damage").read_text()
    assert read_version(data) == FIRST


def test_a_file_inside_a_bound_folder_goes_forward_and_back(tmp_path: Path, mounted: Path) -> None:
    """Seen through the mount, as services see it; the folder itself stays where it is."""
    kept = mounted / "place/kept"

    def change(stage: Path) -> None:
        (stage / "etc/skywire/kept").write_text("2")

    damage = tmp_path / "damage"
    migrate_card(mounted / "data", damage, WRITABLE, (Migration(2, ("etc/skywire/kept",), change),))
    assert kept.read_text() == "2"
    migrate_card(mounted / "data", damage, WRITABLE, ())
    assert (kept.read_text(), (mounted / "data/after/2/etc/skywire/kept").read_text()) == ("1", "2")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A folder with `data`, whose etc/skywire is bound to `place`, in a mount namespace of its own."""
    if os.geteuid():
        pytest.skip("needs root and a mount namespace")
    (tmp_path / "data/etc/skywire").mkdir(parents=True)
    (tmp_path / "data/etc/skywire/kept").write_text("1")
    (tmp_path / "place").mkdir()
    script = "mount --bind data/etc/skywire place && echo mounted && exec sleep 600"
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mounted\n"
        yield Path(f"/proc/{holder.pid}/root{tmp_path}")
        holder.terminate()


def test_data_that_is_newer_without_a_copy_is_left_alone(data: Path) -> None:
    (data / "schema.json").write_text('{"version":4}')
    with pytest.raises(UpdateError, match="of version 4, this system knows 1, and no copy of version 1 was kept"):
        migrate(data)
    assert state(data) == FIRST_STATE


def copy(data: Path, factory: pytest.TempPathFactory) -> Path:
    there = factory.mktemp("data")
    subprocess.run(["cp", "-a", f"{data}/.", there], check=True)
    return there


def points(monkeypatch: pytest.MonkeyPatch, at: Callable[[], None]) -> None:
    """`at` is called before each rename, replace and unlink that the migration does itself."""
    for name in ("rename", "replace", "unlink"):
        real = getattr(Path, name)

        def wrapped(self: Path, *args: object, real: Callable[..., object] = real, **more: object) -> object:
            at()
            return real(self, *args, **more)

        monkeypatch.setattr(Path, name, wrapped)


def count_points(there: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[[Path], object]) -> int:
    seen = []
    with monkeypatch.context() as patched:
        points(patched, lambda: seen.append(1))
        run(there)
    return len(seen)


def cut_at(number: int, monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]) -> None:
    seen = []

    def at() -> None:
        seen.append(1)
        if len(seen) > number:
            raise PowerCutError

    with monkeypatch.context() as patched:
        points(patched, at)
        with pytest.raises(PowerCutError):
            run()
