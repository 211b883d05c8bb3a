"""Small files in RAM or of the kernel, as the checks read them: nothing here touches the card."""

from pathlib import Path


def read_word(path: Path) -> str:
    """The first line; empty where there is no such file, or it cannot be read."""
    try:
        return path.read_text(errors="replace").strip().partition("\n")[0]
    except OSError:
        return ""


def read_number(path: Path) -> int | None:
    """A whole number, decimal or hexadecimal (0x); None where there is none."""
    try:
        return int(read_word(path), 0)
    except ValueError:
        return None
