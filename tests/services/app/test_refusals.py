"""The log has one line a minute for each cause, and says what it left out."""

import logging

import pytest

from services.app.refusals import EACH_S, MOST_CAUSES, MOST_TOLD, OTHER, Refusals

log = logging.getLogger("test")


def test_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now_s = [0.0]
    refusals = Refusals(log, lambda: now_s[0])
    for at_s in (0.0, 1.0, 2.0, EACH_S, EACH_S + 1):
        now_s[0] = at_s
        refusals.note("port", f"refused at {at_s:g}")
        refusals.note("rate", "too fast") if at_s == 1.0 else None
    assert caplog.messages == ["refused at 0", "too fast", "refused at 60 (2 more of the kind before)"]
    assert refusals.counts == {"port": 5, "rate": 1}


def test_a_stranger_cannot_make_causes_without_end() -> None:
    refusals = Refusals(log)
    for number in range(10 * MOST_CAUSES):
        refusals.note(f"cause {number}", "refused")
    assert len(refusals.counts) == MOST_CAUSES + 1
    assert refusals.counts[OTHER] == 9 * MOST_CAUSES


def test_a_stranger_writes_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Refusals(log).note("talk", "not understood: x\nroot logged in \x1b[2J" + "y" * 10_000)
    (message,) = caplog.messages
    assert message.startswith(r"not understood: x\nroot logged in \x1b[2J")
    assert len(message) == MOST_TOLD
