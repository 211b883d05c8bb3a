"""Carries a roll-out: what boards say is known, who leads tells the next ones, and a person starts and steers it. What
is decided is `plan`'s; what it stands at lies in a bucket, so another manager goes on where this one ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from services.keys import NodeId
from services.manager.asks import UPDATE
from services.manager.ending import end_tasks
from services.manager.errors import BusError, ConflictError, HopError, ManagerError, SilentHopError
from services.manager.followed import Following
from services.manager.graph_keeper import GraphKeeper
from services.manager.lease import Lease
from services.manager.orders import Orders
from services.manager.registry import Registry
from services.manager.signed import decode
from services.manager.store import Store
from services.updates import plan
from services.updates.api_words import BoardRow, StartUpdate, Update
from services.updates.errors import StateError
from services.updates.model import BoardState, Bundle, Install, Patience, Rollout, Step
from services.updates.paced import Paced

log = logging.getLogger(__name__)

CURRENT = "current"
LOOK_S = 1.0
TRIES = 5


class Rollouts:
    """`me` is the manager here, where boards fetch what it orders them to install."""

    def __init__(
        self,
        me: NodeId,
        managers: tuple[NodeId, ...],
        store: Store,
        lease: Lease,
        orders: Orders,
        registry: Registry,
        keeper: GraphKeeper,
        patience: Patience,
    ) -> None:
        self._me, self._managers, self._store, self._lease = me, managers, store, lease
        self._orders, self._registry, self._keeper, self._patience = orders, registry, keeper, patience
        self.current: Rollout | None = None
        self._boards: dict[NodeId, BoardState] = {}
        self._paced = Paced(self._keep_state)
        self._since: dict[NodeId, tuple[Step, float]] = {}
        self._missed: dict[NodeId, float] = {}
        self._told: dict[NodeId, float] = {}
        self._followed_name = ""
        self._following = Following()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises BusError."""
        await self._following.start(self._store, {"boards": self._take_board, "rollout": self._take_rollout})
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        await end_tasks([*self._telling, *([self._task] if self._task is not None else [])])
        await self._paced.stop()
        await self._following.stop()

    def follow_anew(self) -> None:
        self._following.follow_anew()

    # what boards say

    async def take_state(self, node_id: NodeId, state: BoardState) -> None:
        """Told by that node itself. Raises BusError."""
        is_known = self._boards.get(node_id) == state and not self._paced.is_busy(node_id)
        if not is_known and node_id in self._registry.nodes:
            await self._paced.take(node_id, state)

    async def _keep_state(self, node_id: NodeId, state: BoardState) -> None:
        if self._boards.get(node_id) == state or node_id not in self._registry.nodes:
            return
        await self._store.boards.put(node_id, msgspec.json.encode(state))
        self._take_board(node_id, msgspec.json.encode(state))

    def called(self, node_id: NodeId) -> str:
        """What the node calls itself: anyone may take any name."""
        return self._boards.get(node_id, BoardState()).called

    def fallen_back(self) -> list[str]:
        """A sentence for each board that did, for `manager status`."""
        return [
            f"board '{node_id[:12]}' fell back to '{state.version}': {state.rolled_back}"
            for node_id, state in sorted(self._boards.items())
            if state.rolled_back
        ]

    def _take_board(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._boards.pop(NodeId(key), None)
        else:
            self._boards[NodeId(key)] = decode(value, BoardState, "state of a board")
        self._news.set()

    def _take_rollout(self, key: str, value: bytes | None) -> None:
        if key == CURRENT and value:
            rollout = decode(value, Rollout, "roll-out")
            if self.current is None or rollout.serial >= self.current.serial:
                self.current = rollout
                self._news.set()

    # what a person says

    async def begin(self, bundle: Bundle, wanted: StartUpdate) -> None:
        """Raises StateError, WordsError, BusError."""
        before, revision = await self._read()
        check_idle(before)
        names = {node_id: name for name, node_id in sorted(self._registry.names.items(), reverse=True)}
        everybody = sorted(
            self._registry.nodes, key=lambda node_id: (names.get(node_id) or self.called(node_id) or "~", node_id)
        )
        order: Iterable[NodeId] = map(self._registry.find, wanted.nodes) if wanted.nodes else everybody
        rollout = plan.make(
            f"{bundle.sha256[:12]}-{time.time_ns():x}",
            bundle,
            order,
            self._managers,
            leader=self._lease.holder or self._me,
            percent=wanted.percent,
            failures=wanted.failures,
            older=wanted.older,
        )
        rollout = replace(rollout, serial=before.serial + 1 if before is not None else 1)
        try:
            await self._put(rollout, revision)
        except ConflictError:
            raise StateError("another update began just now (see: manager update status)") from None
        log.info("update to '%s' begins, for %d boards", bundle.version, len(rollout.steps))

    async def steer(self, act: str) -> None:
        """Raises StateError, BusError."""
        for _ in range(TRIES):
            rollout, revision = await self._read()
            if rollout is None:
                raise StateError("no update was rolled out yet (manager update start FILE)")
            if await self._write(rollout, plan.steer(rollout, act), revision):
                return
        raise StateError(f"the update changes faster than it can {act}: ask again")

    def view(self) -> Update:
        rollout = self.current
        steps = {step.node_id: step for step in rollout.steps} if rollout is not None else {}
        others = [node_id for node_id, state in sorted(self._boards.items()) if node_id not in steps and state.has_door]
        rows = tuple(self._row(node_id, steps.get(node_id)) for node_id in (*steps, *others))
        if rollout is None:
            return Update("", "", "", "", 0, 1, rows)
        bundle = rollout.bundle
        return Update(rollout.course, rollout.why, bundle.version, bundle.sha256, bundle.size, rollout.at_once, rows)

    def _row(self, node_id: NodeId, step: Step | None) -> BoardRow:
        state = self._boards.get(node_id, BoardState())
        names = [name for name, known in sorted(self._registry.names.items()) if known == node_id]
        why = step.why if step is not None else ""
        if step is not None and step.stage == "installing":
            why = f"{state.percent} % {state.text}"
        why = why or (f"rolled back: {state.rolled_back}" if state.rolled_back else "")
        return BoardRow(
            node_id,
            names[0] if names else "",
            state.version,
            state.slot,
            step.stage if step is not None else "",
            why,
            node_id in self._managers,
            self._keeper.is_heard(node_id),
            state.called,
        )

    # who leads

    async def _keep(self) -> None:
        while True:
            self._news.clear()
            try:
                if self._lease.is_held:
                    await self._advance()
                else:
                    self._forget()
            except ManagerError as error:
                log.warning("the update goes on later: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._news.wait()

    async def _advance(self) -> None:
        if self.current is None or (self.current.is_over and not self.current.busy):
            return
        rollout, revision = await self._read()
        if rollout is None:
            return
        if rollout.name != self._followed_name:
            self._forget(rollout.name)
        then = plan.advance(rollout, self._known(rollout), self._patience)
        if then.rollout != rollout and not await self._write(rollout, then.rollout, revision):
            return
        now_s = time.monotonic()
        for node_id in then.tell:
            if now_s - self._told.get(node_id, -plan.TELL_AGAIN_S) >= plan.TELL_AGAIN_S:
                self._told[node_id] = now_s
                self._tell_later(then.rollout, node_id)

    def _forget(self, name: str = "") -> None:
        """What was seen of another roll-out, or when this manager led before."""
        self._followed_name = name
        self._since.clear()
        self._missed.clear()
        self._told.clear()

    def _known(self, rollout: Rollout) -> dict[NodeId, plan.Known]:
        known, now_s = {}, time.monotonic()
        for step in rollout.steps:
            seen, since_s = self._since.get(step.node_id, (None, now_s))
            if seen is None or seen.stage != step.stage:
                self._since[step.node_id] = step, now_s
                since_s = now_s
            is_here, state = self._keeper.is_heard(step.node_id), self._boards.get(step.node_id)
            if is_here and state is not None:
                self._missed.pop(step.node_id, None)
                missed_s = 0.0
            else:
                missed_s = now_s - self._missed.setdefault(step.node_id, now_s)
            known[step.node_id] = plan.Known(is_here, state, now_s - since_s, missed_s)
        return known

    def _tell_later(self, rollout: Rollout, node_id: NodeId) -> None:
        task = asyncio.get_running_loop().create_task(self._tell(rollout, node_id))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, rollout: Rollout, node_id: NodeId) -> None:
        words = Install(rollout.name, rollout.bundle, self._me, older=rollout.older)
        try:
            await self._orders.give(node_id, UPDATE, words)
        except (SilentHopError, BusError) as error:
            log.info("board '%s' is told of the update again: %s", node_id[:12], error)
        except HopError as error:
            await self._refuse(node_id, str(error))

    async def _refuse(self, node_id: NodeId, why: str) -> None:
        for _ in range(TRIES):
            try:
                rollout, revision = await self._read()
                if rollout is None or await self._write(rollout, plan.refuse(rollout, node_id, why), revision):
                    return
            except BusError as error:
                log.warning("that board '%s' refuses is noted later: %s", node_id[:12], error)
                return

    # the bucket

    async def _read(self) -> tuple[Rollout | None, int]:
        entry = await self._store.rollout.get(CURRENT)
        if entry is None or not entry.value:
            return None, 0
        return decode(entry.value, Rollout, "roll-out"), entry.revision

    async def _put(self, rollout: Rollout, revision: int) -> None:
        """Raises ConflictError, BusError."""
        data = msgspec.json.encode(rollout)
        await self._store.rollout.update(CURRENT, data, revision)
        self._take_rollout(CURRENT, data)

    async def _write(self, old: Rollout, new: Rollout, revision: int) -> bool:
        """Whether nobody else changed it meanwhile. Raises BusError."""
        try:
            await self._put(replace(new, serial=old.serial + 1), revision)
        except ConflictError:
            self._news.set()
            return False
        for before, after in zip(old.steps, new.steps, strict=True):
            if before.stage != after.stage:
                log.info(
                    "update, board '%s': %s%s", after.node_id[:12], after.stage, f", {after.why}" * bool(after.why)
                )
        if old.course != new.course:
            log.log(
                logging.WARNING if new.course == "stopped" else logging.INFO,
                "update to '%s': %s%s",
                new.bundle.version,
                new.course,
                f", {new.why}" * bool(new.why),
            )
        return True


def check_idle(rollout: Rollout | None) -> None:
    """Raises StateError where it is under way, so that no other may begin."""
    if rollout is not None and rollout.course != "aborted" and (not rollout.is_over or rollout.busy):
        raise StateError(
            f"the update to '{rollout.bundle.version}' is {rollout.course}, with {len(rollout.busy)} boards under "
            "way: wait for them, or 'abort' it first"
        )
