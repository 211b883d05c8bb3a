"""Troubles come and go: what each source reports is remembered once, and told once. Pure."""

from dataclasses import replace

from skywire_board.model import Effect, Report, Trouble
from skywire_board.state import Noticed, State


def notice(state: State, source: str, trouble: Trouble) -> tuple[State, list[Effect]]:
    """Remember `trouble` as the one of `source`; report it only when it is new."""
    old = next((noticed for noticed in state.troubles if noticed.source == source), None)
    if old is not None and old.trouble.code == trouble.code:
        return state, []
    since_s = old.since_s if old is not None else state.now_s
    others = tuple(noticed for noticed in state.troubles if noticed.source != source)
    report = Report(f"{trouble.title}: {trouble.text}", bad=True)
    return replace(state, troubles=(*others, Noticed(source, trouble, since_s))), [report]


def clear(state: State, source: str) -> tuple[State, list[Effect]]:
    """`source` reports nothing any more."""
    gone = [noticed for noticed in state.troubles if noticed.source == source]
    if not gone:
        return state, []
    others = tuple(noticed for noticed in state.troubles if noticed.source != source)
    return replace(state, troubles=others), [Report(f"over: {noticed.trouble.title}") for noticed in gone]
