"""What is done now and then in the store: what was kept long enough goes, in small steps."""

from __future__ import annotations

from services.messenger import delivery, mailbox
from services.messenger.change import Change

AT_ONCE = 500
ONCES_S = 30 * 86400


def tidy(change: Change, keep_messages: int, keep_days: int) -> bool:
    """One step. Whether more is to be done."""
    delivery.give_up(change)
    mailbox.expire(change)
    now_ms = change.own.now_ms()
    change.run("DELETE FROM onces WHERE made_ms < ?", (now_ms - ONCES_S * 1000,))
    row = change.one("SELECT number FROM messages ORDER BY number DESC LIMIT 1 OFFSET ?", keep_messages)
    before_ms = now_ms - keep_days * 86_400_000 if keep_days else 0
    rows = change.all(
        "SELECT number, text FROM messages WHERE (number <= ? OR kept_ms < ?) AND locked IS NULL "
        "AND state NOT IN ('waiting', 'boxed') AND NOT EXISTS (SELECT 1 FROM files WHERE message = number "
        "AND stage IN ('waiting', 'moving')) ORDER BY number LIMIT ?",
        *(row[0] if row else 0, before_ms, AT_ONCE),
    )
    for number, text in rows:
        _forget(change, number, text)
    if rows:
        change.run("PRAGMA incremental_vacuum(200)").fetchall()
    return len(rows) == AT_ONCE


def _forget(change: Change, number: int, text: str) -> None:
    """Out of the search index as well. That its post was taken stays known, so it does not come again."""
    change.run("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", (number, text))
    change.run("DELETE FROM messages WHERE number = ?", (number,))
    change.run("DELETE FROM receipts WHERE message = ?", (number,))
    dropped = change.all("DELETE FROM files WHERE message = ? RETURNING id", number)
    change.effects.drop += {file for (file,) in dropped}
