"""The record of ids given out and applications running, so that a killed viscript finds them again.

One small file, replaced as a whole; it lives on tmpfs and dies with the board's power, as the applications
do.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from viscript.errors import StateError
from viscript.launcher.model import FIRST_ID, Record


class State(msgspec.Struct, frozen=True):
    next_id: int = FIRST_ID
    records: tuple[Record, ...] = ()


class Store:
    """Reads once, then keeps the file equal to what it was told. Every change raises StateError if it
    fails.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "state.json"
        self._state = self._read()

    def records(self) -> tuple[Record, ...]:
        return self._state.records

    def take_id(self) -> int:
        """The next id, which no one gets again while this state lives."""
        app_id = self._state.next_id
        self._write(State(app_id + 1, self._state.records))
        return app_id

    def skip_to(self, next_id: int) -> None:
        """Never give out an id below this one."""
        self._write(State(max(next_id, self._state.next_id), self._state.records))

    def put(self, record: Record) -> None:
        others = tuple(other for other in self._state.records if other.id != record.id)
        self._write(State(self._state.next_id, (*others, record)))

    def drop(self, app_id: int) -> None:
        self._write(State(self._state.next_id, tuple(r for r in self._state.records if r.id != app_id)))

    def _read(self) -> State:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except (OSError, msgspec.DecodeError) as error:
            raise StateError(
                f"cannot read the state '{self._path}': {error} (stop the applications and remove it)"
            ) from error

    def _write(self, state: State) -> None:
        draft = self._path.with_suffix(".new")
        try:
            draft.write_bytes(msgspec.json.encode(state))
            draft.replace(self._path)
        except OSError as error:
            raise StateError(f"cannot write the state '{self._path}': {error.strerror}") from error
        self._state = state
