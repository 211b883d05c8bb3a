"""The record of ids given out and applications running, so that a killed viscript finds them again.

One small file, replaced as a whole; it lives on tmpfs and dies with the board's power, as the applications
do.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from viscript.errors import StateError
from viscript.launcher.model import FIRST_ID, Ended, Record

REMEMBERED = 20
"""Ended applications that are kept for whoever asks what became of them."""


class State(msgspec.Struct, frozen=True):
    next_id: int = FIRST_ID
    records: tuple[Record, ...] = ()
    ended: tuple[Ended, ...] = ()


class Store:
    """Reads once, then keeps the file equal to what it was told. Every change raises StateError if it
    fails.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "state.json"
        self._state = self._read()

    def records(self) -> tuple[Record, ...]:
        return self._state.records

    def ended(self) -> tuple[Ended, ...]:
        """The last runs that ended, the newest last; one for each id."""
        return self._state.ended

    def take_id(self) -> int:
        """The next id, which no one gets again while this state lives."""
        app_id = self._state.next_id
        self._change(next_id=app_id + 1)
        return app_id

    def skip_to(self, next_id: int) -> None:
        """Never give out an id below this one."""
        self._change(next_id=max(next_id, self._state.next_id))

    def put(self, record: Record) -> None:
        self._change(records=(*self._others(record.id), record))

    def drop(self, app_id: int) -> None:
        self._change(records=self._others(app_id))

    def end(self, ended: Ended, *, keep_record: bool) -> None:
        """Note how a run ended; its record goes unless it is to run again."""
        earlier = (other for other in self._state.ended if other.id != ended.id)
        records = self._state.records if keep_record else self._others(ended.id)
        self._change(ended=(*earlier, ended)[-REMEMBERED:], records=records)

    def _others(self, app_id: int) -> tuple[Record, ...]:
        return tuple(record for record in self._state.records if record.id != app_id)

    def _read(self) -> State:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except (OSError, msgspec.DecodeError) as error:
            raise StateError(
                f"cannot read the state '{self._path}': {error} (stop the applications and remove it)"
            ) from error

    def _change(self, **fields: object) -> None:
        state = msgspec.structs.replace(self._state, **fields)
        draft = self._path.with_suffix(".new")
        try:
            draft.write_bytes(msgspec.json.encode(state))
            draft.replace(self._path)
        except OSError as error:
            raise StateError(f"cannot write the state '{self._path}': {error.strerror}") from error
        self._state = state
