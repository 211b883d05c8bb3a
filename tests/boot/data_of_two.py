"""A second version of the data, for a bundle that a board is really given (`migration_rows`): this file goes into its
root as it is. Folders that are their services' alone, and a file inside a bound folder, are changed on copies.

Nothing but the board's own Python is there.
"""

from pathlib import Path

TOUCHES = ("mesh/node", "mesh/messenger", "etc/skywire/kept")
MARK = "of-version"


def run(stage: Path) -> None:
    """Two folders get a mark; the words of a file become others. ValueError for words that were never written."""
    for name in TOUCHES[:2]:
        (stage / name / MARK).write_text("2\n")
    kept = stage / TOUCHES[2]
    text = kept.read_text()
    if "in the words of 1" not in text:
        raise ValueError(f"'{text.strip()}' is not in the words of 1")
    kept.write_text(text.replace("in the words of 1", "in the words of 2"))
