"""The state file: ids are never given twice, and what was noted is there after a crash."""

from pathlib import Path

import pytest

from viscript.errors import StateError
from viscript.launcher.model import Ended, Process, Record
from viscript.launcher.store import REMEMBERED, Store


def test_ids_count_up_from_two_and_never_again(tmp_path: Path) -> None:
    assert [Store(tmp_path).take_id() for _ in range(3)] == [2, 3, 4]


def test_records_survive_us(tmp_path: Path) -> None:
    record = Record(2, "a", ("x",), ("/a", "x"), 1.0, Process(10, 20))
    Store(tmp_path).put(record)
    assert Store(tmp_path).records() == (record,)
    Store(tmp_path).drop(2)
    assert Store(tmp_path).records() == ()


def test_a_spoilt_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(StateError, match=r"cannot read the state .*remove it"):
        Store(tmp_path)


def test_an_id_met_from_elsewhere_is_skipped(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.skip_to(9)
    store.skip_to(3)
    assert store.take_id() == 9


def test_how_runs_ended_is_remembered_the_last_of_each_id(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(Record(2, "a", (), ("/a",), 1.0))
    store.end(Ended(2, "a", 3, 5.0, ("oops",)), keep_record=True)
    assert [record.id for record in store.records()] == [2], "it is to run again"
    store.end(Ended(2, "a", -9, 6.0), keep_record=False)
    assert Store(tmp_path).ended() == (Ended(2, "a", -9, 6.0),)
    assert Store(tmp_path).records() == ()
    for app_id in range(3, 3 + 2 * REMEMBERED):
        store.end(Ended(app_id, "b", 0, 7.0), keep_record=False)
    assert len(store.ended()) == REMEMBERED
    assert store.ended()[-1].id == 2 + 2 * REMEMBERED
