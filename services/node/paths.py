"""Which way a session takes, pure: time is given, `step` says what to do now. The initiator alone decides.

A way is a route, known by its id, or the direct one (`DIRECT`), which can only be probed while it is taken. A probe is
overdue when its answer takes longer than those before it let expect; three in a row, with none answered that was asked
later, and the way is down. The first makes the next ones come fast, and the standby is asked as well, so that the
choice is between ways that were just heard of. A late answer is an answer: it makes the expected time longer.

How often is asked follows what passes in the session: BUSY within seconds of traffic, then QUIET, then ASLEEP.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import count

DIRECT = ""

LOST_IN_A_ROW = 3
BUSY_S, AWAKE_S = 3.0, 60.0
"""So long after traffic a session is busy, or not yet asleep."""

FAST_S, CALM_S, ASLEEP_S = 0.1, 2.0, 60.0
SUSPECT_S, DOWN_S = 0.025, 0.25
"""Between probes of a way that owes an answer, and of one that is down while it is all there is."""

LEAST_WAIT_S, MOST_WAIT_S, FIRST_WAIT_S = 0.05, 1.0, 0.5
SLACK_S = 0.025
UNDECIDED_S = 0.15
"""So long a switch waits for a sign of life that is newer than the trouble."""

RELAYED = 2
ASK_FIRST_S, ASK_SOON_S, ASK_MOST_S = 30.0, 1.0, 120.0
TRY_IDLE_S, TRY_AFTER_S, TRY_NEXT_S, TRY_AGAIN_S, TRY_MOST_S = 1.0, 5.0, 0.5, 15.0, 1800.0

TRY_BUSY_S = 0.12


@dataclass(frozen=True, slots=True)
class Ask:
    """Probe that way; `answered` or `lost` with the number shall follow."""

    route: str
    number: int


@dataclass(frozen=True, slots=True)
class Switch:
    """From now on that way is taken."""

    route: str


@dataclass(frozen=True, slots=True)
class WantStandby:
    """No other way is alive: ask for a route apart from the one taken; `standby_told` shall follow."""


@dataclass(frozen=True, slots=True)
class TryDirect:
    """Take the direct way and ask inside the session; `direct_told` shall follow."""


@dataclass(frozen=True, slots=True)
class Leave:
    """That way is needed no longer; it is forgotten already."""

    route: str


Effect = Ask | Switch | WantStandby | TryDirect | Leave


@dataclass(slots=True)
class _Asked:
    route: str
    at_s: float
    due_s: float
    is_overdue: bool = False


@dataclass(slots=True)
class Way:
    """`heard_s`: when the latest question that was answered was asked. `missed`: when those unanswered since were."""

    route: str
    next_s: float
    rtt_s: float = 0.0
    varies_s: float = 0.0
    heard_s: float = -math.inf
    loss: float = 0.0
    missed: list[float] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        return self.heard_s > -math.inf and not self.is_down

    @property
    def is_down(self) -> bool:
        """A way that nobody asked yet is neither up nor down."""
        return len(self.missed) >= LOST_IN_A_ROW

    @property
    def wait_s(self) -> float:
        if self.heard_s == -math.inf:
            return FIRST_WAIT_S
        return min(MOST_WAIT_S, max(LEAST_WAIT_S, self.rtt_s + 4 * self.varies_s + SLACK_S))

    def answered(self, asked_s: float, now_s: float) -> None:
        rtt_s = now_s - asked_s
        if self.heard_s == -math.inf:
            self.rtt_s, self.varies_s = rtt_s, rtt_s / 2
        else:
            self.varies_s += (abs(rtt_s - self.rtt_s) - self.varies_s) / 4
            self.rtt_s += (rtt_s - self.rtt_s) / 8
        self.heard_s = max(self.heard_s, asked_s)
        self.missed = [at_s for at_s in self.missed if at_s > asked_s]
        self.loss -= self.loss / 32

    def overdue(self, asked_s: float) -> None:
        self.loss += (1 - self.loss) / 32
        if asked_s > self.heard_s:
            self.missed.append(asked_s)
            del self.missed[:-LOST_IN_A_ROW]


class Paths:
    """The ways of one session. `step` after every event, and at the time that `next_s` gives."""

    def __init__(self, routes: tuple[str, ...], active: str, now_s: float, *, may_be_direct: bool = False) -> None:
        self.ways = {route: Way(route, now_s) for route in dict.fromkeys((active, *routes))}
        self.active = active
        self.may_be_direct = may_be_direct
        self.switches = 0
        self._numbers = count(1)
        self._asked: dict[int, _Asked] = {}
        self._traffic_s = now_s
        self._opened_s = now_s
        self._down_s: float | None = None
        self._is_asking = self._is_trying = False
        self._ask_s, self._ask_pause_s = now_s + ASK_FIRST_S, ASK_FIRST_S
        self._try_s, self._try_pause_s = now_s, TRY_AGAIN_S

    # events

    def traffic(self, now_s: float) -> None:
        """Something passes in the session."""
        was_asleep = self._pace_s(now_s) > FAST_S
        self._traffic_s = now_s
        if was_asleep:
            self._hurry(self.ways[self.active], now_s + FAST_S)

    def rest(self, now_s: float, later_s: float) -> None:
        """Nothing is known to pass, and the first questions may come later: many sessions begin at once."""
        self._traffic_s = now_s - BUSY_S
        for way in self.ways.values():
            way.next_s = max(way.next_s, now_s + later_s)

    def answered(self, number: int, now_s: float) -> None:
        asked = self._asked.pop(number, None)
        way = self.ways.get(asked.route) if asked is not None else None
        if asked is not None and way is not None:
            way.answered(asked.at_s, now_s)

    def lost(self, number: int) -> None:
        """No answer comes any more."""
        asked = self._asked.pop(number, None)
        if asked is not None and not asked.is_overdue:
            self._miss(asked)

    def add(self, route: str, now_s: float) -> None:
        """A standby that was asked for."""
        self.ways.setdefault(route, Way(route, now_s))

    def standby_told(self, now_s: float) -> None:
        """The question is done with; a way that was found was added before."""
        self._is_asking = False
        self._ask_pause_s = min(ASK_MOST_S, 2 * self._ask_pause_s)
        self._ask_s = now_s + self._ask_pause_s

    def direct_told(self, rtt_s: float | None, now_s: float, *, is_last: bool = True) -> None:
        """None: nothing came back that way. `is_last`: there is no other place to try before trying all again."""
        self._is_trying = False
        if rtt_s is None:
            self._try_s = now_s + (self._try_pause_s if is_last else TRY_NEXT_S)
            if is_last:
                self._try_pause_s = min(TRY_MOST_S, 4 * self._try_pause_s)
            return
        way = self.ways.setdefault(DIRECT, Way(DIRECT, now_s))
        way.answered(now_s - rtt_s, now_s)
        self.active, self._down_s = DIRECT, None

    def try_within_s(self, now_s: float) -> float:
        """How long a trial of the direct way may hold up what passes."""
        if self._pace_s(now_s) > FAST_S:
            return MOST_WAIT_S
        return max(TRY_BUSY_S, 2 * self.ways[self.active].wait_s)

    @property
    def is_lost(self) -> bool:
        """No way is alive, none is new."""
        return all(way.is_down for way in self.ways.values())

    # decisions

    def step(self, now_s: float) -> list[Effect]:
        self._mark_overdue(now_s)
        return [*self._switch(now_s), *self._leave(), *self._wants(now_s), *self._asks(now_s)]

    def next_s(self) -> float:
        """When `step` is due, if nothing happens before."""
        times = [way.next_s for way in self.ways.values() if self._can_ask(way)]
        times += [asked.due_s for asked in self._asked.values() if not asked.is_overdue]
        if self._down_s is not None:
            times.append(self._down_s + UNDECIDED_S)
        if not self._is_asking and not self._has_standby():
            times.append(self._ask_s)
        return min(times)

    def _mark_overdue(self, now_s: float) -> None:
        for asked in self._asked.values():
            if not asked.is_overdue and asked.due_s <= now_s:
                asked.is_overdue = True
                self._miss(asked)
        if self.ways[self.active].missed:
            for way in self.ways.values():
                is_old = way.heard_s < self.ways[self.active].missed[0] and not self._is_asked(way.route)
                if is_old and way.route != self.active and not way.is_down:
                    self._hurry(way, now_s)

    def _miss(self, asked: _Asked) -> None:
        way = self.ways.get(asked.route)
        if way is not None:
            way.overdue(asked.at_s)
            if way.missed and not way.is_down and self._can_ask(way):
                self._hurry(way, asked.at_s + SUSPECT_S)

    def _switch(self, now_s: float) -> list[Effect]:
        active = self.ways[self.active]
        if not active.is_down or self._is_trying:
            self._down_s = None
            return []
        if self._down_s == math.inf and self.is_lost:
            return []
        alive = [way for way in self.ways.values() if way is not active and way.is_up and way.route != DIRECT]
        fresh = [way for way in alive if way.heard_s >= active.missed[0]]
        if self._down_s is None:
            self._down_s = now_s
        if not fresh and now_s < self._down_s + UNDECIDED_S:
            return []
        found = min(fresh, key=lambda way: way.rtt_s) if fresh else max(alive, key=lambda w: w.heard_s, default=None)
        if found is None:
            self._down_s, self._ask_s = math.inf, min(self._ask_s, now_s + ASK_SOON_S)
            return []
        self._take(found.route, now_s)
        return [Switch(found.route)]

    def _take(self, route: str, now_s: float) -> None:
        if self.active == DIRECT:
            del self.ways[DIRECT]
            self._try_s = now_s + self._try_pause_s
            self._try_pause_s = min(TRY_MOST_S, 4 * self._try_pause_s)
        self.active, self._down_s = route, None
        self.switches += 1
        self._hurry(self.ways[route], now_s)
        self._ask_pause_s = ASK_SOON_S
        self._ask_s = now_s + ASK_SOON_S

    def _leave(self) -> list[Effect]:
        """Two routes are enough: of the rest, the worst goes."""
        spare = [way for way in self.ways.values() if way.route not in {self.active, DIRECT}]
        allowed = RELAYED if self.active == DIRECT else RELAYED - 1
        tried = [way for way in spare if way.is_up or way.missed]
        if len(spare) <= allowed or len(tried) <= allowed:
            return []
        worst = max(tried, key=lambda way: (not way.is_up, way.rtt_s))
        del self.ways[worst.route]
        return [Leave(worst.route)]

    def _wants(self, now_s: float) -> list[Effect]:
        effects: list[Effect] = []
        if not self._is_asking and not self._is_trying and now_s >= self._ask_s and not self._has_standby():
            self._is_asking = True
            effects.append(WantStandby())
        if self._may_try(now_s):
            self._is_trying = True
            effects.append(TryDirect())
        return effects

    def _may_try(self, now_s: float) -> bool:
        if not self.may_be_direct or self.active == DIRECT or self._is_trying or now_s < self._try_s:
            return False
        idle_s = now_s - self._traffic_s
        return idle_s >= TRY_IDLE_S or now_s - self._opened_s >= TRY_AFTER_S or self.ways[self.active].is_down

    def _has_standby(self) -> bool:
        """A way that nobody has asked often enough yet may be one."""
        spare = [way for way in self.ways.values() if way.route not in {self.active, DIRECT}]
        return any(not way.is_down for way in spare)

    def _asks(self, now_s: float) -> list[Effect]:
        effects: list[Effect] = []
        for way in self.ways.values():
            if self._can_ask(way) and way.next_s <= now_s:
                number = next(self._numbers)
                self._asked[number] = _Asked(way.route, now_s, now_s + way.wait_s)
                way.next_s = now_s + self._interval_s(way, now_s)
                effects.append(Ask(way.route, number))
        return effects

    def _can_ask(self, way: Way) -> bool:
        return way.route != DIRECT or self.active == DIRECT

    def _is_asked(self, route: str) -> bool:
        return any(asked.route == route and not asked.is_overdue for asked in self._asked.values())

    def _interval_s(self, way: Way, now_s: float) -> float:
        pace_s = self._pace_s(now_s)
        if self.ways[self.active].is_down:
            return max(DOWN_S, pace_s)
        if way.route != self.active:
            return max(CALM_S, pace_s)
        return SUSPECT_S if way.missed else pace_s

    def _pace_s(self, now_s: float) -> float:
        since_s = now_s - self._traffic_s
        return FAST_S if since_s < BUSY_S else CALM_S if since_s < AWAKE_S else ASLEEP_S

    def _hurry(self, way: Way, at_s: float) -> None:
        way.next_s = min(way.next_s, at_s)
