"""The log of writes, made by QEMU's own filter, and what a cut leaves of it. No board is booted."""

import random
import subprocess
from pathlib import Path

import pytest

from tests.boot.writes import SECTOR, WriteLog

pytestmark = [pytest.mark.image, pytest.mark.usefixtures("image")]  # which installs QEMU

SIZE = 1 << 20
BLOCK = 4096


def recorded(folder: Path, *commands: str) -> WriteLog:
    """What QEMU notes of these commands on an empty card."""
    card, log = folder / "disk.img", folder / "log"
    card.write_bytes(b"\0" * SIZE)
    log.write_bytes(b"")
    options = f"driver=blklogwrites,file.driver=file,file.filename={card},log.driver=file,log.filename={log}"
    words = [word for command in commands for word in ("-c", command)]
    subprocess.run(["qemu-io", "--image-opts", options, *words], check=True, capture_output=True, timeout=60)
    return WriteLog(log)


def cut(log: WriteLog, folder: Path, after: int, seed: int) -> bytes:
    card = folder / "cut.img"
    card.write_bytes(b"\0" * SIZE)
    log.cut(after, random.Random(seed), card)
    return card.read_bytes()


def test_what_was_flushed_is_always_there(tmp_path: Path) -> None:
    log = recorded(tmp_path, "write -P 1 0 4k", "write -P 2 8k 4k", "flush", "write -P 3 0 4k")
    flush = next(number for number, write in enumerate(log.writes, 1) if write.is_flush and number > 2)
    seen = {cut(log, tmp_path, flush, seed)[: 3 * BLOCK] for seed in range(20)}
    assert seen == {b"\1" * BLOCK + b"\0" * BLOCK + b"\2" * BLOCK}


def test_what_was_not_may_be_there_in_any_part(tmp_path: Path) -> None:
    log = recorded(tmp_path, "flush", "write -P 1 0 4k", "write -P 2 4k 4k")
    count = max(number for number, write in enumerate(log.writes, 1) if write.size)
    seen = {cut(log, tmp_path, count, seed)[: 2 * BLOCK] for seed in range(60)}
    whole = {(first, second) for first in (0, 1) for second in (0, 2)}
    assert whole <= {(card[0], card[BLOCK]) for card in seen}
    assert bytes(2 * BLOCK) in seen
    assert b"\1" * BLOCK + b"\2" * BLOCK in seen


def test_a_write_is_torn_at_sectors(tmp_path: Path) -> None:
    log = recorded(tmp_path, "flush", "write -P 1 0 4k")
    count = max(number for number, write in enumerate(log.writes, 1) if write.size)
    torn = set[tuple[int, ...]]()
    for seed in range(60):
        card = cut(log, tmp_path, count, seed)[:BLOCK]
        sectors = [card[start : start + SECTOR] for start in range(0, BLOCK, SECTOR)]
        assert all(sector in {bytes(SECTOR), b"\1" * SECTOR} for sector in sectors)
        torn.add(tuple(sector[0] for sector in sectors))
    assert len(torn) > 2


def test_a_write_through_the_cache_is_there_without_a_flush(tmp_path: Path) -> None:
    log = recorded(tmp_path, "flush", "write -f -P 7 16k 512")
    count = len(log.writes)  # noted as such, or with a flush behind it
    assert all(cut(log, tmp_path, count, seed)[16384] == 7 for seed in range(20))


def test_writes_after_the_cut_are_not_there(tmp_path: Path) -> None:
    log = recorded(tmp_path, "write -P 1 0 4k", "flush", "write -P 2 4k 4k", "flush")
    assert cut(log, tmp_path, 0, 1) == bytes(SIZE)
    first = next(number for number, write in enumerate(log.writes, 1) if write.size)
    assert all(cut(log, tmp_path, first, seed)[BLOCK] == 0 for seed in range(20))


def test_a_size_of_the_log_is_a_number_of_requests(tmp_path: Path) -> None:
    log = recorded(tmp_path, "write -P 1 0 4k", "flush", "write -P 2 4k 4k", "flush")
    for number, write in enumerate(log.writes, 1):
        assert log.count_at(write.end) == number
        assert log.count_at(write.end - 1) == number - 1


def test_a_log_that_is_still_written_ends_at_its_last_whole_request(tmp_path: Path) -> None:
    log = recorded(tmp_path, "write -P 1 0 4k", "flush", "write -P 2 4k 64k", "flush")
    last = max(write.end for write in log.writes if write.size)
    whole = len([write for write in log.writes if write.end < last])
    part = tmp_path / "part"
    part.write_bytes(log.path.read_bytes()[: last - SECTOR])
    assert len(WriteLog(part).writes) == whole


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no").write_bytes(b"x" * 4096)
    with pytest.raises(ValueError, match="no log of writes"):
        WriteLog(tmp_path / "no")
