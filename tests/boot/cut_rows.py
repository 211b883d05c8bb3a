"""Power cuts as rows: one recorded session, cards cut anywhere in it, looked at and booted; and a session with one
fsync taken from our code, which the same look must find.
"""

import secrets
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from image.errors import EmulatorError
from tests.boot.cuts import Cutter, Found, boot_cut
from tests.boot.record import Part, Recorder, Session
from tests.boot.rows import Table

LOOKS_PER_BOOT = 6
FORGETFUL = "forgetful"
FORGETFUL_CUTS = 60


def cut_rows(recorder: Recorder, table: Table, scratch: Path, cuts: int, seed: int | None = None) -> None:
    """`recorder`'s session is over. `cuts` are booted; several times as many are only looked at from outside."""
    seed = secrets.randbelow(1 << 32) if seed is None else seed
    session = recorder.session
    cutter = Cutter(recorder.board.run, session, scratch, seed)
    parts = [part for part in session.parts if part.name != FORGETFUL]
    table.add("a session is recorded with all its writes and flushes", _told(session, seed), len(session.promises) > 0)
    for part in parts:
        claim = f"{part.name}: looked at after cuts, nothing that was said to be kept is lost"
        table.check(claim, partial(_looked, cutter, part, LOOKS_PER_BOOT * cuts // len(parts)))
    for number, part in enumerate(parts):
        share = cuts // len(parts) + (number < cuts % len(parts))
        if share:
            claim = f"{part.name}: {share} cut cards boot, with identity and settings"
            table.check(claim, partial(_booted, cutter, session, part, share, scratch))
    forgetful = next((part for part in session.parts if part.name == FORGETFUL), None)
    if forgetful is not None:
        claim = "the same, with one fsync taken from the node's code: the cuts find it"
        table.check(claim, lambda: _found_out(cutter, forgetful))


def _told(session: Session, seed: int) -> str:
    size = session.log.stat().st_size / 1e6
    parts = ", ".join(f"{part.name} {(part.end - part.begin) / 1e6:.1f} MB" for part in session.parts)
    return f"{size:.0f} MB of writes: {parts}; {len(session.promises)} promises; dice {seed}"


def _looked(cutter: Cutter, part: Part, count: int) -> tuple[str, bool]:
    begin = time.monotonic()
    found = [cutter.look(part, moment)[0] for moment in cutter.moments(part, max(count, 2))]
    bad = [one for one in found if one.wrong]
    torn, loose = sum(one.cut.torn for one in found), sum(one.cut.unflushed for one in found)
    dropped = loose - sum(one.cut.kept for one in found)
    seen = (
        f"{len(found)} cuts in {time.monotonic() - begin:.0f} s: {dropped} of {loose} unflushed writes dropped, "
        f"{torn} torn; {sum(len(one.due) for one in found)} promises looked up"
    )
    return f"{seen}; {_worst(bad)}", not bad


def _booted(cutter: Cutter, session: Session, part: Part, count: int, scratch: Path) -> tuple[str, bool]:
    times, bad = list[str](), list[str]()
    for number, moment in enumerate(cutter.moments(part, count)):
        found, card = cutter.look(part, moment, whole=True)
        folder = scratch / f"{part.name}-{number}"
        try:
            took, wrong = boot_cut(card, session, found, folder)
        except EmulatorError as error:
            took, wrong = "no answer", (str(error),)
        times.append(took)
        bad += [f"{found.cut}: {reason}" for reason in (*found.wrong, *wrong)]
    return f"{', '.join(times)}; {'; '.join(bad) or 'nothing lost'}", not bad


def _found_out(cutter: Cutter, part: Part) -> tuple[str, bool]:
    found = [cutter.look(part, moment)[0] for moment in cutter.moments(part, FORGETFUL_CUTS)]
    bad = [one for one in found if one.wrong]
    return f"{len(bad)} of {len(found)} cuts lost something: {_worst(bad)}", bool(bad)


def _worst(bad: Sequence[Found]) -> str:
    return f"{len(bad)} wrong: {bad[0]}"[:400] if bad else "none wrong"
