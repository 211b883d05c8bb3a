"""Asks a person at the terminal, or reads lines of standard input where there is none: secrets are never arguments."""

import os
import pwd
import sys
from pathlib import Path

import click

from image.errors import FlashError
from image.flashing.disks import Disk, size_text

WORDS = 24


def home() -> Path:
    """Of the person, also under sudo."""
    user = os.environ.get("SUDO_USER")
    return Path(pwd.getpwnam(user).pw_dir) if user else Path.home()


def read_keys(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """The public keys of files, one a line. FlashError for a private key or none at all."""
    keys: list[str] = []
    for path in paths:
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise FlashError(f"cannot read key '{path}': {error} (make one: ssh-keygen -t ed25519)") from None
        if "PRIVATE KEY" in text:
            raise FlashError(f"'{path}' is a private key, which stays with you: name '{path}.pub'")
        keys += [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return tuple(keys)


def offer_keys(folder: Path) -> tuple[Path, ...]:
    """The public keys of ~/.ssh that the person agrees to."""
    found = sorted(folder.glob("*.pub"))
    return tuple(path for path in found if click.confirm(f"  let '{path}' log in?", default=True))


def ask_secret(what: str) -> str:
    if sys.stdin.isatty():
        answer: str = click.prompt(f"  {what}", hide_input=True)
        return answer
    return _line(what)


def ask_words() -> str:
    """24 words, visible, since they are typed from paper; an empty line ends."""
    if sys.stdin.isatty():
        click.echo(f"  the {WORDS} words of the identity, in order:")
    words: list[str] = []
    while len(words) < WORDS:
        line = _line(f"the {WORDS} words").split()
        if not line:
            break
        words += [word for word in line if not word.strip(".").isdigit()]
    return " ".join(words)


def read_invite(place: str) -> str:
    """From a file, or asked for where `place` is -."""
    if place == "-":
        return ask_secret("the invitation (skywire:…)").strip()
    try:
        return Path(place).read_text().strip()
    except OSError as error:
        raise FlashError(f"cannot read the invitation '{place}': {error.strerror} (- asks for it)") from None


def confirm(disk: Disk, doing: str) -> None:
    """Shows the disk and wants a yes. FlashError when it is not given."""
    rows = {"disk": str(disk.path), "size": size_text(disk.size), "model": disk.model, "serial": disk.serial}
    click.echo("".join(f"  {name:<8}{value}\n" for name, value in rows.items() if value), nl=False)
    for use in disk.used_as:
        click.echo(f"  note    {use}")
    if not click.confirm(f"  {doing}", default=False):
        raise FlashError(f"nothing was written to '{disk.path}'")


def _line(what: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise FlashError(f"standard input ended where {what} should be (write it there, or use a terminal)")
    return line.rstrip("\r\n")
