"""Asks a person at the terminal, or reads lines of standard input where there is none: secrets are never arguments."""

import codecs
import os
import pwd
import re
import sys
from pathlib import Path

import click

from image.errors import FlashError
from image.flashing.disks import Disk, size_text

WORDS = 24
MOST_BYTES = 1 << 16
"""Of a file with keys or an invitation: what is longer is something else."""

_KEY = re.compile(r"(?:^|\s)(?:ssh|ecdsa|sk)-\S+ +AAAA")
_INVITATION = re.compile(r"^\s*(skywire:\S+)\s*$", re.MULTILINE)


def home() -> Path:
    """Of the person, also under sudo."""
    user = os.environ.get("SUDO_USER")
    return Path(pwd.getpwnam(user).pw_dir) if user else Path.home()


def read_keys(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """The public keys of files, one a line. FlashError for a private key or none at all."""
    keys: list[str] = []
    for path in paths:
        text = _text(path, "key", "make one: ssh-keygen -t ed25519")
        if "PRIVATE KEY" in text:
            raise FlashError(f"'{path}' is a private key, which stays with you: name '{path}.pub'")
        found = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if not found or not all(map(_KEY.search, found)):
            raise FlashError(f"'{path}' is no public key: expected a line such as 'ssh-ed25519 AAAA… you@home'")
        keys += found
    return tuple(keys)


def offer_keys(folder: Path) -> tuple[Path, ...]:
    """The public keys of ~/.ssh that the person agrees to."""
    found = sorted(folder.glob("*.pub"))
    return tuple(path for path in found if click.confirm(f"  let '{path}' log in?", default=True))


def ask_secret(what: str) -> str:
    """What was typed, which may be nothing."""
    if sys.stdin.isatty():
        answer: str = click.prompt(f"  {what}", default="", show_default=False, hide_input=True)
        return answer
    return _line(what)


def ask_password(ssid: str) -> str:
    """Of a Wi-Fi network; empty for one that is open, and then it is said."""
    password = ask_secret(f"the password of '{ssid}' (none: an open network)")
    if not password:
        click.echo(f"  no password was given: '{ssid}' is taken for an open network")
    return password


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
    text = (
        ask_secret("the invitation (skywire:…)") if place == "-" else _text(Path(place), "invitation", "- asks for it")
    )
    found = set(_INVITATION.findall(text))
    if len(found) != 1:
        told = "what was given" if place == "-" else f"'{place}'"
        raise FlashError(f"{told} is no invitation: expected the one line 'skywire:…' that `manager invite` prints")
    return str(found.pop())


def confirm(disk: Disk, doing: str) -> None:
    """Shows the disk and wants a yes. FlashError when it is not given."""
    rows = {"disk": str(disk.path), "size": size_text(disk.size), "model": disk.model, "serial": disk.serial}
    click.echo("".join(f"  {name:<8}{value}\n" for name, value in rows.items() if value), nl=False)
    for use in disk.used_as:
        click.echo(f"  note    {use}")
    if not click.confirm(f"  {doing}", default=False):
        raise FlashError(f"nothing was written to '{disk.path}'")


def _text(path: Path, what: str, hint: str) -> str:
    """Of a file that Windows may have saved. FlashError for what is no text, or too long for what it should be."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = data.decode("utf-16" if is_wide else "utf-8-sig")
    except OSError as error:
        raise FlashError(f"cannot read the {what} '{path}': {error.strerror} ({hint})") from None
    except UnicodeDecodeError:
        raise FlashError(f"'{path}' is no text, so it holds no {what} ({hint})") from None
    if len(data) > MOST_BYTES:
        raise FlashError(f"'{path}' is too long for a file with a {what} ({hint})")
    return text


def _line(what: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise FlashError(f"standard input ended where {what} should be (write it there, or use a terminal)")
    return line.rstrip("\r\n")
