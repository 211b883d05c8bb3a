"""What a bundle says of itself: read of one that RAUC made, of one that OpenSSL signed, and of nothing else."""

from __future__ import annotations

import contextlib
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.updates.bundle import MAGIC, read_manifest, signature_size
from services.updates.errors import BundleError
from tests.services.updates.bundles import COMPATIBLE, make_bundle, make_key, manifest, run, sign


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def signature(pair: tuple[Path, Path]) -> bytes:
    return sign(manifest("1.2.0+0123456789ab").encode(), *pair)


def read(file: Path) -> tuple[str, str]:
    data = file.read_bytes()
    length = signature_size(data[:16], data[-8:], len(data))
    return read_manifest(data[-8 - length : -8])


def test_one_that_was_signed(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    assert read(make_bundle(tmp_path / "a.raucb", "1.2.0+0123456789ab", pair)) == ("1.2.0+0123456789ab", COMPATIBLE)


@pytest.mark.skipif(shutil.which("rauc") is None or shutil.which("mksquashfs") is None, reason="needs rauc")
def test_one_that_rauc_made(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    content, bundle = tmp_path / "content", tmp_path / "a.raucb"
    content.mkdir()
    (content / "root.img").write_bytes(random.Random(1).randbytes(64 << 10))
    (content / "manifest.raucm").write_text(
        f"[update]\ncompatible={COMPATIBLE}\nversion=2.0\n[bundle]\nformat=verity\n[image.rootfs]\nfilename=root.img\n"
    )
    run("rauc", "bundle", f"--cert={pair[1]}", f"--key={pair[0]}", str(content), str(bundle))
    assert read(bundle) == ("2.0", COMPATIBLE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (manifest("1", way="plain"), "'plain'"),
        (manifest(""), "expected a short text"),
        (manifest("1").replace("version", "wersion"), "cannot be read"),
        (manifest("1" * 200), "expected a short text"),
        ("nothing", "cannot be read"),
        ("[update]\nversion=1\nversion=2\n", "cannot be read"),
    ],
)
def test_manifests_that_are_refused(pair: tuple[Path, Path], text: str, said: str) -> None:
    with pytest.raises(BundleError, match=said):
        read_manifest(sign(text.encode(), *pair))


def test_a_detached_signature_is_that_of_a_plain_bundle(pair: tuple[Path, Path]) -> None:
    words = ["openssl", "cms", "-sign", "-binary", "-outform", "DER", "-signer", str(pair[1]), "-inkey", str(pair[0])]
    with pytest.raises(BundleError, match="'plain'"):
        read_manifest(run(*words, given=manifest("1").encode()))


def test_files_that_are_no_bundles() -> None:
    for head, tail in ((b"PK\3\4", bytes(8)), (MAGIC, bytes(8)), (MAGIC, b"\xff" * 8), (MAGIC, b"\0\0\1")):
        with pytest.raises(BundleError):
            signature_size(head, tail, 1 << 20)
    with pytest.raises(BundleError):
        signature_size(MAGIC, (500).to_bytes(8, "big"), 400)


@given(st.binary(max_size=300))
def test_noise(data: bytes) -> None:
    with pytest.raises(BundleError):
        read_manifest(data)


@given(data=st.data())
def test_bent_signatures(signature: bytes, data: st.DataObject) -> None:
    """A changed byte gives another manifest or a refusal, nothing else; a cut one a refusal."""
    bent = bytearray(signature)
    bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BundleError):
        read_manifest(bytes(bent))
    with pytest.raises(BundleError):
        read_manifest(signature[: data.draw(st.integers(0, 60))])
