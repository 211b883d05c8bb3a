"""The update bundle: a slot as built, signed, in RAUC's verity format, and the key that signs it.

A board takes bundles of one certificate, which is in its root. Without `--key` and `--cert` it is a development key of
this machine, made once into the cache and never anywhere else: whoever builds on two machines gives both the same.
The certificate holds from the recipe's time on and for ever, since a board may know no better time than that.
"""

import os
import re
import shutil
from pathlib import Path

import msgspec

from image.errors import ImageError
from image.recipe import Recipe
from image.run import Runner

COMPATIBLE = "skywire-board-arm64"
CERTIFICATE = "etc/rauc/keyring.pem"
CHUNK = "64K"
"""Block of the bundle's own squashfs, which compresses nothing: what a board fetches at once when it streams."""

AUTHORITY = """\
[ca]
default_ca = board
[board]
database = {folder}/index
rand_serial = yes
new_certs_dir = {folder}
default_md = sha256
policy = any
x509_extensions = signs
email_in_dn = no
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[signs]
basicConstraints = critical,CA:TRUE
keyUsage = critical,digitalSignature,keyCertSign
subjectKeyIdentifier = hash
"""
MANIFEST = """\
[update]
compatible={compatible}
version={version}
[bundle]
format=verity
[image.system]
filename=slot.img
adaptive=block-hash-index
"""


class Keys(msgspec.Struct, frozen=True):
    """PEM files: the private key that signs bundles, and the certificate by which boards know it."""

    key: Path
    cert: Path


def find_keys(run: Runner, recipe: Recipe, cache: Path, given: Keys | None) -> Keys:
    """The keys given, if they belong together; else the development key, made when this machine has none."""
    if given is None:
        keys = Keys(cache / "keys/development.key.pem", cache / "keys/development.cert.pem")
        if not (keys.key.exists() and keys.cert.exists()):
            make_keys(run, recipe, keys, "Skywire Board development key")
        return keys
    publics = (
        run("openssl", "pkey", "-in", given.key, "-pubout"),
        run("openssl", "x509", "-in", given.cert, "-noout", "-pubkey"),
    )
    if publics[0] != publics[1]:
        raise ImageError(f"'{given.cert}' is not the certificate of '{given.key}' (give the two that belong together)")
    return given


def make_keys(run: Runner, recipe: Recipe, keys: Keys, name: str) -> None:
    """A P-256 key that its owner alone can read, and its self-signed certificate; whole or not there."""
    folder = keys.key.parent / f".{keys.key.name}.{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    keys.key.parent.chmod(0o700)
    try:
        key, config = folder / "key", folder / "config"
        config.write_text(AUTHORITY.format(folder=folder))
        (folder / "index").touch()
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        key.chmod(0o600)
        subject = ("-subj", f"/CN={name}")
        run("openssl", "req", "-new", "-config", config, "-key", key, *subject, "-out", folder / "request")
        begin = run.text("date", "--utc", f"--date=@{recipe.epoch}", "+%Y%m%d%H%M%SZ")
        run(
            "openssl", "ca", "-selfsign", "-batch", "-notext", "-config", config, "-keyfile", key,
            "-startdate", begin, "-enddate", "99991231235959Z", "-in", folder / "request", "-out", folder / "cert",
        )  # fmt: skip
        key.rename(keys.key)
        (folder / "cert").rename(keys.cert)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def install_certificate(run: Runner, keys: Keys, root: Path) -> None:
    """The certificate into a root, as PEM without anything around it."""
    target = root / CERTIFICATE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(run("openssl", "x509", "-in", keys.cert))
    target.chmod(0o644)


def make_bundle(run: Runner, keys: Keys, version: str, slot: Path, work: Path, target: Path) -> None:
    """`slot` as a signed bundle with an index of its blocks, by which a board fetches only those it has not."""
    folder = work / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    target.unlink(missing_ok=True)
    os.link(slot, folder / "slot.img")
    (folder / "manifest.raucm").write_text(MANIFEST.format(compatible=COMPATIBLE, version=version))
    run(
        "rauc", "bundle", f"--cert={keys.cert}", f"--key={keys.key}",
        f"--mksquashfs-args=-noI -noD -noF -noX -b {CHUNK}", folder, target, timeout_s=1800,
    )  # fmt: skip
    said = run.text("rauc", "info", f"--keyring={keys.cert}", target)
    if not re.search(rf"Version:\s+'{re.escape(version)}'", said):
        raise ImageError(f"the bundle does not tell its version '{version}' (see the log)")
    shutil.rmtree(folder)
