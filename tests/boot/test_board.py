"""A sample of `tests/prove board` on one card: recorded from its first boot on, updated, rolled back; then three of the
power cuts that its record makes possible, and many more looked at from outside.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boot import cut_rows, update_rows, watchdog_rows
from tests.boot.record import Recorder, record
from tests.boot.rows import Table

pytestmark = [pytest.mark.image, pytest.mark.timeout(3600)]

CUTS = 3


@pytest.fixture(scope="module")
def recorder(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    """Of a board that is up, with its record so far."""
    recorder = record(image, tmp_path_factory.mktemp("recorded"), watchdog=True)
    try:
        recorder.first_boot()
        recorder.settings()
        recorder.messages()
        yield recorder
    finally:
        recorder.board.close()


def test_a_board_is_updated_and_rolled_back(recorder: Recorder, tmp_path: Path) -> None:
    table = Table("an update that stays, and one that does not")
    well, broken = update_rows.make_bundles(recorder.board, tmp_path / "bundles", update_rows.NO_INIT)
    update_rows.update_stays(recorder.board, table, well)
    table.check("the boot armed the watchdog, before systemd", lambda: watchdog_rows.armed_early(recorder.board))
    update_rows.update_is_taken_back(recorder.board, table, broken)
    assert len(table.rows) >= 9
    assert not table.failed, "\n".join(f"{row.claim}: {row.seen}" for row in table.failed)


def test_power_cuts_lose_nothing_that_was_said_to_be_kept(recorder: Recorder, tmp_path: Path) -> None:
    recorder.board.close()
    table = Table("power cuts")
    cut_rows.cut_rows(recorder, table, tmp_path, CUTS)
    assert len(table.rows) >= 7
    assert not table.failed, "\n".join(f"{row.claim}: {row.seen}" for row in table.failed)
