"""Keys and bundles with the real openssl and rauc, and the version that a slot gets."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from image.errors import CommandError, ImageError
from image.recipe import Newer, read_recipe
from image.run import Runner
from image.steps.bundle import CERTIFICATE, Keys, find_keys, install_certificate, make_bundle, make_keys
from image.steps.packages import render_preferences
from image.steps.version import PLACE, digest_of, write_version
from tests.house.tree import ROOT

RECIPE = read_recipe()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Runner]:
    with (tmp_path / "log").open("w") as log:
        yield Runner(log, RECIPE.epoch)


@pytest.fixture
def keys(run: Runner, tmp_path: Path) -> Keys:
    return find_keys(run, RECIPE, tmp_path / "cache", None)


def test_the_development_key_is_made_once_and_is_its_owners_alone(run: Runner, tmp_path: Path, keys: Keys) -> None:
    before = keys.key.read_bytes()
    assert find_keys(run, RECIPE, tmp_path / "cache", None) == keys
    assert keys.key.read_bytes() == before
    assert (keys.key.stat().st_mode & 0o777, keys.key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert sorted(path.name for path in keys.key.parent.iterdir()) == [keys.cert.name, keys.key.name]
    dates = run.text("openssl", "x509", "-in", keys.cert, "-noout", "-dates")
    assert "notBefore=Nov  1 00:00:00 2026 GMT" in dates, "a board's clock may stand at the image's time"
    assert "notAfter=Dec 31 23:59:59 9999 GMT" in dates


def test_a_certificate_of_another_key_is_refused(run: Runner, tmp_path: Path, keys: Keys) -> None:
    other = Keys(tmp_path / "other.key", tmp_path / "other.cert")
    make_keys(run, RECIPE, other, "other")
    assert find_keys(run, RECIPE, tmp_path, other) == other
    with pytest.raises(ImageError, match="is not the certificate of"):
        find_keys(run, RECIPE, tmp_path, Keys(keys.key, other.cert))


def test_a_bundle_is_taken_by_its_certificate_alone(run: Runner, tmp_path: Path, keys: Keys) -> None:
    slot, bundle = tmp_path / "slot", tmp_path / "board.raucb"
    slot.write_bytes(os.urandom(1 << 20))
    make_bundle(run, keys, "0.1.0+0123456789ab", slot, tmp_path, bundle)
    install_certificate(run, keys, tmp_path / "root")
    told = run("rauc", "info", f"--keyring={tmp_path / 'root' / CERTIFICATE}", "--output-format=json", bundle)
    manifest = msgspec.json.decode(told)
    assert (manifest["compatible"], manifest["version"]) == ("skywire-board-arm64", "0.1.0+0123456789ab")
    (image,) = manifest["images"]
    assert image["system"]["size"] == 1 << 20
    make_keys(run, RECIPE, Keys(tmp_path / "k", tmp_path / "c"), "a stranger")
    with pytest.raises(CommandError, match="signature verification failed"):
        run("rauc", "info", f"--keyring={tmp_path / 'c'}", bundle)
    assert not (tmp_path / "bundle").exists()


def test_the_board_takes_what_the_build_makes() -> None:
    """One word in three places: the manifest, RAUC's configuration, the door."""
    from image.steps.bundle import COMPATIBLE  # noqa: PLC0415
    from skywire_board.update import installing  # noqa: PLC0415

    config = (ROOT / "rootfs_overlay/etc/rauc/system.conf").read_text()
    assert f"compatible={COMPATIBLE}\n" in config
    assert f"path=/{CERTIFICATE}\n" in config
    assert installing.COMPATIBLE == COMPATIBLE


def test_a_version_changes_with_the_root_and_with_nothing_else(run: Runner, tmp_path: Path) -> None:
    root, kernel = tmp_path / "root", tmp_path / "kernel"
    (root / PLACE).parent.mkdir(parents=True)
    (root / "link").symlink_to("/nowhere")
    kernel.write_bytes(b"kernel")
    first = write_version(run, RECIPE, kernel, root)
    assert (root / PLACE).read_text() == f"{first}\n"
    (root / PLACE).unlink()
    assert write_version(run, RECIPE, kernel, root) == first
    (root / PLACE).unlink()
    before = digest_of(root)
    (root / "file").write_text("x")
    with_file = digest_of(root)
    (root / "file").chmod(0o600)
    assert len({before, with_file, digest_of(root)}) == 3
    assert write_version(run, RECIPE, kernel, root) != first


def test_only_the_named_packages_come_from_the_later_suite() -> None:
    said = render_preferences(Newer("forky", ("rauc", "libnl-3-200")))
    assert said == (
        "Package: *\nPin: release n=forky\nPin-Priority: -1\n\n"
        "Package: rauc libnl-3-200\nPin: release n=forky\nPin-Priority: 990\n"
    )
