"""What a person decides is synced to the disk: the stream's newest block files and their folder, and nothing else."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from services.manager.errors import BusError
from services.manager.on_disk import OnDisk

SYNC = "import asyncio, sys; from pathlib import Path; from services.manager.on_disk import OnDisk\n"
SYNC += "asyncio.run(OnDisk(Path(sys.argv[1])).sync('KV_names'))"


def stream(folder: Path, name: str, blocks: int) -> Path:
    messages = folder / "jetstream" / "ACCOUNT" / "streams" / name / "msgs"
    messages.mkdir(parents=True)
    for number in range(1, blocks + 1):
        (messages / f"{number}.blk").write_bytes(b"words")
    return messages


def test_the_newest_blocks_of_the_stream_are_synced(tmp_path: Path) -> None:
    messages = stream(tmp_path, "KV_names", 12)
    stream(tmp_path, "KV_labels", 3)
    trace = ["strace", "-f", "-y", "-e", "trace=fsync", sys.executable, "-c", SYNC, str(tmp_path)]
    said = subprocess.run(trace, capture_output=True, text=True, check=True, timeout=60).stderr
    synced = re.findall(r"fsync\(\d+<(.+?)>\) += 0", said)
    assert synced == [str(messages / "11.blk"), str(messages / "12.blk"), str(messages)]


def test_a_stream_of_another_server_is_nothing_to_sync(tmp_path: Path) -> None:
    asyncio.run(OnDisk(tmp_path).sync("KV_names"))


def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    (stream(tmp_path, "KV_names", 1) / "odd.blk").write_bytes(b"")
    with pytest.raises(BusError, match="cannot bring 'KV_names' to the disk"):
        asyncio.run(OnDisk(tmp_path).sync("KV_names"))
