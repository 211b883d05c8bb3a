"""Bundles to roll out: as RAUC's `verity` ones look from outside, signed by a key that was drawn for the test. What is
in them is noise: only a board's own RAUC looks inside.
"""

import random
import subprocess
from pathlib import Path

import pytest

from services.updates.objects import CHUNK

COMPATIBLE = "skywire-board-arm64"


def run(*words: str, given: bytes = b"") -> bytes:
    return subprocess.run(words, input=given, capture_output=True, check=True, timeout=60).stdout


def make_key(folder: Path, name: str = "key") -> tuple[Path, Path]:
    """Key and certificate, which is the keyring too."""
    folder.mkdir(parents=True, exist_ok=True)
    key, certificate = folder / f"{name}.pem", folder / f"{name}.crt"
    run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", f"/CN={name}", "-days", "3650", "-keyout", str(key), "-out", str(certificate)),
    )
    return key, certificate


def manifest(version: str, way: str = "verity") -> str:
    update = f"[update]\ncompatible={COMPATIBLE}\nversion={version}\n"
    return f"{update}\n[bundle]\nformat={way}\nverity-hash={64 * '0'}\nverity-salt={64 * '0'}\nverity-size=4096\n"


def sign(text: bytes, key: Path, certificate: Path) -> bytes:
    words = ["openssl", "cms", "-sign", "-nodetach", "-binary", "-outform", "DER", "-nosmimecap"]
    return run(*words, "-signer", str(certificate), "-inkey", str(key), given=text)


def make_bundle(file: Path, version: str, pair: tuple[Path, Path], size: int = 5 * CHUNK + 321) -> Path:
    """`size`: of what comes before the signature."""
    signature = sign(manifest(version).encode(), *pair)
    noise = random.Random(version).randbytes(size - 4)
    file.write_bytes(b"hsqs" + noise + signature + len(signature).to_bytes(8, "big"))
    return file


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_key(tmp_path_factory.mktemp("keys"))
