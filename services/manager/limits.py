"""How often somebody may do something: a bucket of tokens per name, for so many names. Pure; time is given."""

from __future__ import annotations

from collections import OrderedDict


class Limits:
    """`per_s` in the long run, `burst` at once. The longest unheard name is forgotten when there are `most`."""

    def __init__(self, per_s: float, burst: int, most: int = 16384) -> None:
        self._per_s, self._burst, self._most = per_s, burst, most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, name: str, now_s: float) -> bool:
        left, then_s = self._left.pop(name, (float(self._burst), now_s))
        left = min(float(self._burst), left + max(0.0, now_s - then_s) * self._per_s)
        allowed = left >= 1.0
        self._left[name] = (left - 1.0 if allowed else left, now_s)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return allowed
