"""Runs on the board, as root: prints one JSON object of what its data partition holds, for `migration_rows`. Only the
board's own libraries are there.
"""

import contextlib
import json
import sqlite3
import subprocess
from pathlib import Path

DATA = Path("/data")
NODE, MESSENGER = "mesh/node", "mesh/messenger"
BEFORE, AFTER = "before/1", "after/2"
MARK = "of-version"


def text(path: str) -> str:
    try:
        return (DATA / path).read_text().strip()
    except OSError:
        return ""


def messages(folder: str) -> list[str]:
    """Those that the messenger's database of a folder holds, from a copy: its owner may be writing."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(":memory:")) as copy:
        uri = f"file:{DATA / folder / 'messages.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
            database.backup(copy)
        return [row[0] for row in copy.execute("SELECT text FROM messages")]
    return []


def owned(path: str) -> str:
    place = DATA / path
    return f"{place.owner()}:{place.group()} {place.stat().st_mode & 0o7777:o}" if place.exists() else ""


def said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120).stdout.strip()


def main() -> None:
    folders = (NODE, MESSENGER)
    found = {
        "schema": text("schema.json"),
        "kept": Path("/etc/skywire/kept").read_text().strip(),
        "kept_before": text(f"{BEFORE}/etc/skywire/kept"),
        "kept_after": text(f"{AFTER}/etc/skywire/kept"),
        "marks": [text(f"{name}/{MARK}") for name in folders],
        "marks_after": [text(f"{AFTER}/{name}/{MARK}") for name in folders],
        "owners": [owned(path) for path in (*folders, f"{NODE}/pets.yaml", f"{MESSENGER}/messages.db")],
        "names_before": text(f"{BEFORE}/{NODE}/pets.yaml"),
        "names_after": text(f"{AFTER}/{NODE}/pets.yaml"),
        "messages": messages(MESSENGER),
        "messages_before": messages(f"{BEFORE}/{MESSENGER}"),
        "messages_after": messages(f"{AFTER}/{MESSENGER}"),
        "left": [name for name in (".migrating",) if (DATA / name).exists()],
        "unit": said("systemctl", "show", "-P", "Result", "-P", "ActiveState", "skywire-migrate.service"),
        "failed": said("systemctl", "--failed", "--no-legend", "--plain"),
        "note": json.loads(Path("/run/skywire/boot.json").read_text()),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
