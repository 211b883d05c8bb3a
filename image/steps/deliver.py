"""What a build leaves in `dist`: the card, its packed form, the manifest, the sums and the figures, all of one build.

Everything is written under names of drafts first; so a build that is cut leaves what was there before.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from image.run import Runner


class Figures(msgspec.Struct, frozen=True):
    """What the build measured, kept beside the image for those who compare it with the aims.

    `cold` says whether the base root had to be made; without compression there are no `packed_bytes`.
    """

    seconds: float
    cold: bool
    root_bytes: int
    image_bytes: int
    packed_bytes: int | None


@contextmanager
def drafts(dist: Path, name: str) -> Iterator[Path]:
    """A folder for what is to be in `dist`; at its end all files called `name`.* there are replaced by the folder's."""
    folder = dist / f".{name}.{os.getpid()}"
    for left in dist.glob(f".{name}.*"):
        _remove(left)
    folder.mkdir()
    try:
        yield folder
        for old in dist.glob(f"{name}.*"):
            if not (folder / old.name).exists():
                old.unlink()
        for new in sorted(folder.iterdir()):
            new.replace(dist / new.name)
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def write_sums(run: Runner, folder: Path) -> None:
    """SHA256SUMS over all that is in the folder, as sha256sum writes and checks it."""
    names = sorted(path.name for path in folder.iterdir())
    (folder / "SHA256SUMS").write_bytes(run("sha256sum", *names, cwd=folder))


def write_figures(figures: Figures, path: Path) -> None:
    """JSON with two spaces, one figure a line."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")


def read_figures(path: Path) -> Figures:
    """What `write_figures` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Figures)
