"""Emissions: a daily amount, split between tasks by stake-voted weight, equal to contracts/Emissions.sol bit for bit.

With D_0 the configured amount, d the decay (10^18: none), D_{n+1} = floor(D_n d / 10^18), and s elapsed seconds of day
n, the stream has released D_0 + ... + D_{n-1} + floor(D_n s / 86400). With W the stake behind all votes and Q the
quorum, a step that releases `a` raises the accumulator by floor(2^72 a / max(W, Q)) and allots ceil(a W / max(W, Q)). A
task of weight w receives the growth of the accumulator since its last update, times w, over 2^72, rounded down.

Amounts and weights are wei of CVY, times seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DAY = 86_400
ONE = 10**18
SCALE_BITS = 72
MAX_STEPS = 400
"""Maximum number of days that one update covers if the amount decays."""


@dataclass(frozen=True, slots=True)
class EmissionsConfig:
    """Parameters set by governance: amount of the first day, daily decay over 10^18, caps, quorum."""

    per_day: int
    decay: int
    cap: int
    task_cap: int
    quorum: int = 0


@dataclass(slots=True)
class Share:
    """A task's share: weight of its votes, amount allotted but not minted, amount minted, number of dropped votes."""

    weight: int = 0
    pending: int = 0
    minted: int = 0
    generation: int = 0
    seen: int = 0


def released(per_day: int, decay: int, seconds: int) -> int:
    """Amount that the stream releases in its first ``seconds``, wei."""
    days, rest = divmod(seconds, DAY)
    if decay == ONE:
        return per_day * seconds // DAY
    total = 0
    for _ in range(days):
        if per_day == 0:
            return total
        total += per_day
        per_day = per_day * decay // ONE
    return total + per_day * rest // DAY


@dataclass(slots=True)
class Stream:
    """The stream, the votes and the shares, driven by the same calls as the contract.

    Values that the contract reads from other contracts (an operator's voting power, a task's remaining capacity) are
    arguments here.

    Attributes:
        now: time of the last update.
    """

    now: int
    config: EmissionsConfig = field(default_factory=lambda: EmissionsConfig(0, ONE, 0, 0))
    daily: int = 0
    day_start: int = 0
    per_weight: int = 0
    total_weight: int = 0
    allotted: int = 0
    minted: int = 0
    shares: dict[int, Share] = field(default_factory=dict)
    votes: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    """(weight, generation) by operator and task."""
    voted: dict[str, int] = field(default_factory=dict)

    def accrue(self, now: int) -> int:
        """Update to ``now``, at most MAX_STEPS days; return the allotted amount, wei."""
        amount = self._release(now)
        if self.total_weight == 0:
            return 0
        amount = min(amount, self.config.cap - self.allotted)
        base = max(self.total_weight, self.config.quorum)
        self.per_weight += (amount << SCALE_BITS) // base
        amount = -(-amount * self.total_weight // base)
        self.allotted += amount
        return amount

    def configure(self, now: int, config: EmissionsConfig) -> None:
        """Start a new day with another configuration."""
        self.accrue(now)
        self.config, self.daily, self.day_start = config, config.per_day, now

    def vote(self, now: int, operator: str, task: int, weight: int) -> None:
        """Replace an operator's vote for a task by ``weight``."""
        share = self._update(now, task)
        cast, generation = self.votes.get((operator, task), (0, 0))
        counted = cast if generation == share.generation else 0
        self._set(operator, task, share, counted, weight, self.voted.get(operator, 0) - cast + weight)

    def poke(self, now: int, operator: str, task: int, power: int, *, over: bool) -> None:
        """Reduce a vote to the operator's remaining stake, or free it if the task has no capacity left.

        Raises:
            ValueError: there is nothing to do.
        """
        share = self._update(now, task)
        cast, generation = self.votes.get((operator, task), (0, 0))
        if cast == 0:
            raise ValueError("nothing to poke")
        voted = self.voted.get(operator, 0)
        if generation == share.generation and over:
            self._drop(share)
        if generation != share.generation:
            self._set(operator, task, share, 0, 0, voted - cast)
            return
        excess = min(max(voted - power, 0), cast)
        if excess == 0:
            raise ValueError("nothing to poke")
        self._set(operator, task, share, cast, cast - excess, voted - excess)

    def push(self, now: int, task: int, room: int, supply_left: int) -> int:
        """Mint a task's pending amount up to its capacity; a full task loses its votes. Return the minted amount.

        Args:
            room: the task's remaining capacity, wei; the configured cap per task is applied here.
            supply_left: amount that the token can still mint, wei.

        Raises:
            ValueError: there is nothing to push.
        """
        share = self._update(now, task)
        room = min(room, max(self.config.task_cap - share.minted, 0))
        amount = min(share.pending, room, supply_left)
        if amount == 0:
            raise ValueError("nothing to push")
        share.pending -= amount
        share.minted += amount
        self.minted += amount
        if amount == room:
            self._drop(share)
        return amount

    def drop(self, now: int, task: int) -> None:
        """Drop the votes of a task without capacity, and its pending amount."""
        self._drop(self._update(now, task))

    # ---------------------------------------------------------------- internals

    def _release(self, now: int) -> int:
        if self.daily == 0 or self.config.decay == ONE:
            amount = self._of_day(now - self.day_start) - self._of_day(self.now - self.day_start)
            self.now = now
            return amount
        amount = steps = 0
        while steps < MAX_STEPS and self.now < now:
            end = self.day_start + DAY
            to = min(now, end)
            amount += self._of_day(to - self.day_start) - self._of_day(self.now - self.day_start)
            self.now = to
            if to == end:
                self.day_start, self.daily = end, self.daily * self.config.decay // ONE
            steps += 1
        return amount

    def _of_day(self, seconds: int) -> int:
        return self.daily * seconds // DAY

    def _update(self, now: int, task: int) -> Share:
        """The task's share, updated to ``now``."""
        self.accrue(now)
        if self.now != now:
            raise ValueError("more days than one update covers: accrue first")
        share = self.shares.setdefault(task, Share())
        share.pending += share.weight * (self.per_weight - share.seen) >> SCALE_BITS
        share.seen = self.per_weight
        return share

    def _set(self, operator: str, task: int, share: Share, counted: int, weight: int, voted: int) -> None:
        share.weight += weight - counted
        self.total_weight += weight - counted
        self.votes[operator, task] = (weight, share.generation)
        self.voted[operator] = voted

    def _drop(self, share: Share) -> None:
        self.total_weight -= share.weight
        self.allotted -= share.pending
        share.weight = share.pending = 0
        share.generation += 1
