"""Decides a pairing from the hold of the button to its end, pure: what happens goes in, what is to be done comes out.

looking ─ one other board ─ talking ─ offers ─ comparing ─ both buttons ─ joining ─ confirmed
   └──── a second one, a wrong word, a cut, a time-out, a cancel, anything unclear: refused ────┘

There is one attempt in a window, so that a stranger has one guess at the code. Both boards need a press after the code
was shown: the manager's lets the other in, the new board's lets it obey. Whoever only answered first gets neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from services.keys import NodeId
from services.pairing.crypto import Ephemeral
from services.pairing.errors import TalkError
from services.pairing.exchange import Cancelled, Exchange, Happened, Met
from services.pairing.model import (
    CONFIRM_S,
    OVER,
    WINDOW_S,
    Me,
    Part,
    Shown,
    Stage,
    Welcome,
    choose_part,
)
from services.pairing.words import Accept, Cancel, Inside, Welcomed, Written

SETTLE_S = 2.0
"""After the first board was found: so long a second one may show up before anything is said."""

TALK_S, JOIN_S = 10.0, 45.0
SEEN_S = 1.0
"""A press so soon after the code was shown was not made by somebody who had seen it."""

LINES = 16
"""More than a whole pairing says."""


@dataclass(frozen=True, slots=True)
class Dial:
    window: str


@dataclass(frozen=True, slots=True)
class Send:
    data: bytes


@dataclass(frozen=True, slots=True)
class Hear:
    """The connection that came in is the one; all others are closed."""


@dataclass(frozen=True, slots=True)
class Admit:
    """Let that node join here; then `admitted`, or `failed`."""

    node_id: NodeId


@dataclass(frozen=True, slots=True)
class Keep:
    """Write down whose network this board is of; then `kept`, or `failed`."""

    welcome: Welcome


@dataclass(frozen=True, slots=True)
class End:
    """Restart the node where `joined`: it is of another network now."""

    joined: bool


Effect = Dial | Send | Hear | Admit | Keep | End


class Brain:
    """Every method returns what is to be done, in order; `now_s` is of a monotonic clock, the same as `held_s`."""

    def __init__(self, me: Me, key: Ephemeral, window: str, held_s: float) -> None:
        self._me, self._window, self._held_s = me, window, held_s
        self._exchange = Exchange(me, key, window)
        self._candidates: dict[str, str] = {}
        self._settled_s: float | None = None
        self._until_s = held_s + WINDOW_S
        self._shown_s = 0.0
        self._lines = 0
        self._met: Met | None = None
        self._pressed = self._accepted = False
        self._welcome: Welcome | None = None
        self.shown = Shown(Stage.LOOKING, "looking for the other board: hold its button for 3 s too")

    @property
    def is_over(self) -> bool:
        return self.shown.stage in OVER

    @property
    def wakes_s(self) -> float:
        """When `tick` has something to do at the latest."""
        return min(self._until_s, self._settled_s or self._until_s)

    @property
    def _is_new(self) -> bool:
        return self.shown.part is Part.NEW

    # what happens

    def found(self, window: str, name: str, now_s: float) -> list[Effect]:
        """A board announces that it pairs."""
        if self.is_over or window in {self._window, *self._candidates}:
            return []
        self._candidates[window] = name
        self.shown = replace(self.shown, candidates=tuple(sorted(self._candidates.values())))
        other = self._exchange.other_window
        if len(self._candidates) > 1 or (other and other != window):
            return self._refuse(_TWO)
        if self.shown.stage is Stage.LOOKING and self._window < window:
            self._settled_s = now_s + SETTLE_S
        return []

    def lost(self, window: str) -> list[Effect]:
        """It announces itself no more. One that was ever there counts for the whole window."""
        if self.shown.stage is Stage.LOOKING and window in self._candidates and self._window < window:
            self._settled_s = None
            return self._refuse("the other board has ended its pairing")
        return []

    def came(self, line: bytes, now_s: float) -> list[Effect]:
        """The first line of a connection that a stranger made: `Hear` where it begins a pairing, else nothing."""
        if self.is_over:
            return []
        if self.shown.stage is not Stage.LOOKING:
            return []
        try:
            send, _ = self._exchange.feed(line, now_s - self._held_s)
        except TalkError:
            return []  # garbage ends nothing but its own connection
        other = self._exchange.other_window
        if not other:
            return []
        if self._candidates and other not in self._candidates:
            return [Hear(), *self._refuse(_TWO)]
        self._candidates.setdefault(other, "")
        self._talk(now_s)
        return [Hear(), Send(send)]

    def dialled(self, now_s: float) -> list[Effect]:
        """The connection that was asked for is there."""
        if self.shown.stage is not Stage.TALKING:
            return []
        return [Send(self._exchange.begin(now_s - self._held_s))]

    def heard(self, line: bytes, now_s: float) -> list[Effect]:
        """On the connection of this pairing."""
        if self.is_over:
            return []
        self._lines += 1
        try:
            if self._lines > LINES:
                raise TalkError("the other board says too much")
            send, happened = self._exchange.feed(line, now_s - self._held_s)
            sends: list[Effect] = [Send(send)] if send else []
            return [*sends, *(self._take(happened, now_s) if happened is not None else [])]
        except TalkError as error:
            return self._refuse(str(error))

    def cut(self, why: str) -> list[Effect]:
        """The connection of this pairing ended, or was never had."""
        if self.is_over:
            return []
        if self._welcome is not None and self._is_new:
            return []  # it knows all that it needs: what it was told holds
        return self._refuse(why)

    def pressed(self, now_s: float) -> list[Effect]:
        """The button, briefly; or somebody who says so in a shell."""
        if self.shown.stage is not Stage.COMPARING:
            return []
        if now_s - self._shown_s < SEEN_S:
            self.shown = replace(self.shown, text="too soon: compare the code on both boards first, then press again")
            return []
        if self._pressed:
            return []
        self._pressed = True
        if self._is_new:
            self._tell_compared("accepted here; now press the manager's button")
            return [Send(self._exchange.seal(Accept()))]
        if self._accepted:
            return self._admit()
        self._tell_compared("confirmed here; now press the new board's button")
        return []

    def cancelled(self) -> list[Effect]:
        return [] if self.is_over else self._refuse("cancelled here")

    def admitted(self, at: tuple[str, ...]) -> list[Effect]:
        """The manager lets the other board in, at these join ports."""
        if self.is_over or self._met is None:
            return []
        word = Welcomed(self._me.node_id, at, self._me.name)
        return [Send(self._exchange.seal(word))]

    def kept(self) -> list[Effect]:
        """What the manager said is on the card."""
        self._close(Stage.CONFIRMED, f"joined the network of '{self._other_name}'")
        return [Send(self._exchange.seal(Written())), End(joined=True)]

    def failed(self, why: str) -> list[Effect]:
        return [] if self.is_over else self._refuse(why)

    def tick(self, now_s: float) -> list[Effect]:
        if self.is_over:
            return []
        if now_s >= self._until_s:
            return self._refuse(self._too_late())
        if self._settled_s is not None and now_s >= self._settled_s:
            self._settled_s = None
            (window,) = self._candidates
            self._talk(now_s)
            return [Dial(window)]
        return []

    # what follows

    def _take(self, happened: Happened, now_s: float) -> list[Effect]:
        match happened:
            case Cancelled(why):
                return self._refuse(f"the other board: {why}")
            case Met():
                return self._meet(happened, now_s)
            case _:
                return self._take_inside(happened)

    def _meet(self, met: Met, now_s: float) -> list[Effect]:
        ours, theirs = met.ages_s
        part = choose_part((self._me.can, ours), (met.can, theirs))
        if not isinstance(part, Part):
            return self._refuse(part)
        self._met, self._shown_s, self._until_s = met, now_s, now_s + CONFIRM_S
        self.shown = replace(self.shown, stage=Stage.COMPARING, code=met.code, other=met.name, part=part)
        self._tell_compared("compare with the other board; only if it shows the same, press both buttons")
        return []

    def _take_inside(self, word: Inside) -> list[Effect]:
        match word:
            case Accept() if not self._is_new and not self._accepted:
                self._accepted = True
                return self._admit() if self._pressed else []
            case Welcomed() if self._is_new and self._pressed and self._welcome is None and self._met is not None:
                if word.manager_id != self._met.node_id:
                    raise TalkError("the other board welcomes to the network of a third one")
                self._welcome = Welcome(self._met.node_id, word.at, word.network)
                self.shown = replace(self.shown, stage=Stage.JOINING, text="joins")
                return [Keep(self._welcome)]
            case Written() if self.shown.stage is Stage.JOINING and not self._is_new:
                self._close(Stage.CONFIRMED, f"'{self._other_name}' joins this network")
                return [End(joined=False)]
        raise TalkError(f"the other board says '{type(word).__name__.lower()}', which is not its turn")

    def _admit(self) -> list[Effect]:
        assert self._met is not None
        self.shown = replace(self.shown, stage=Stage.JOINING, text=f"lets '{self._other_name}' in")
        self._until_s = self._shown_s + CONFIRM_S + JOIN_S
        return [Admit(self._met.node_id)]

    def _talk(self, now_s: float) -> None:
        self.shown = replace(self.shown, stage=Stage.TALKING, text="found the other board")
        self._until_s = now_s + TALK_S

    def _refuse(self, why: str) -> list[Effect]:
        """The other board is told, where there is one to tell."""
        was = self.shown.stage
        self._close(Stage.REFUSED, why)
        send: list[Effect] = [] if was is Stage.LOOKING else [Send(cancel_line(why))]
        return [*send, End(joined=False)]

    def _close(self, stage: Stage, text: str) -> None:
        self.shown = replace(self.shown, stage=stage, text=text)

    def _tell_compared(self, text: str) -> None:
        role = "the new board" if self._is_new else "the manager"
        self.shown = replace(self.shown, text=f"code {self.shown.code}, this is {role}: {text}")

    @property
    def _other_name(self) -> str:
        if self._met is None:
            return ""
        return self._met.name or self._met.node_id[:8]

    def _too_late(self) -> str:
        if self.shown.stage is Stage.LOOKING:
            return "no other board was found within two minutes (hold its button for 3 s too; is it on this network?)"
        if self.shown.stage is Stage.COMPARING:
            return f"not confirmed on both boards within {CONFIRM_S:.0f} s"
        return "the other board did not answer in time"


_TWO = "two other boards want to pair at once: let one of them wait, and hold the buttons again"


def cancel_line(why: str) -> bytes:
    """What is said to a board that is turned away."""
    return msgspec.json.encode(Cancel(why[:300])) + b"\n"
