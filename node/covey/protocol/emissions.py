"""Emissions: a daily amount, split over tasks by stake-voted weight, equal to contracts/Emissions.sol bit for bit.

With D_0 the configured amount, d the decay (10^18: none), D_{n+1} = floor(D_n d / 10^18), and s seconds of day n gone,
the stream has let out D_0 + ... + D_{n-1} + floor(D_n s / 86400). With W the stake behind all votes and Q the quorum, a
step that lets out `a` raises the accumulator by floor(2^72 a / max(W, Q)) and allots ceil(a W / max(W, Q)); a task of
weight w has what the accumulator has grown by since it was last counted, times w, over 2^72, rounded down.

Amounts and weights are wei of CVY, times seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DAY = 86_400
ONE = 10**18
SCALE_BITS = 72
MAX_STEPS = 400
"""Days that one counting covers at most where the amount decays."""


@dataclass(frozen=True, slots=True)
class EmissionsConfig:
    """What governance sets: amount of the first day, decay a day over 10^18, caps, quorum."""

    per_day: int
    decay: int
    cap: int
    task_cap: int
    quorum: int = 0


@dataclass(slots=True)
class Share:
    """A task's part: weight of its votes, allotted and not minted, minted, times that its votes were dropped."""

    weight: int = 0
    pending: int = 0
    minted: int = 0
    generation: int = 0
    seen: int = 0


def let_out(per_day: int, decay: int, seconds: int) -> int:
    """What the stream lets out in its first ``seconds``, wei."""
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

    Limits that the contract asks other contracts for (an operator's voting power, what a task can still take) are
    arguments here.

    Attributes:
        now: up to when the stream has been counted.
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
        """Count up to ``now``, MAX_STEPS days at most; what was allotted, wei."""
        amount = self._let_out(now)
        if self.total_weight == 0:
            return 0
        amount = min(amount, self.config.cap - self.allotted)
        base = max(self.total_weight, self.config.quorum)
        self.per_weight += (amount << SCALE_BITS) // base
        amount = -(-amount * self.total_weight // base)
        self.allotted += amount
        return amount

    def configure(self, now: int, config: EmissionsConfig) -> None:
        """Begin a new day with another configuration."""
        self.accrue(now)
        self.config, self.daily, self.day_start = config, config.per_day, now

    def vote(self, now: int, operator: str, task: int, weight: int) -> None:
        """Put ``weight`` behind a task instead of what the operator had there."""
        share = self._bring(now, task)
        cast, generation = self.votes.get((operator, task), (0, 0))
        counted = cast if generation == share.generation else 0
        self._set(operator, task, share, counted, weight, self.voted.get(operator, 0) - cast + weight)

    def poke(self, now: int, operator: str, task: int, power: int, *, over: bool) -> None:
        """Bring a vote down to the stake that is left, or free it where the task can take no more.

        Raises:
            ValueError: there is nothing to do.
        """
        share = self._bring(now, task)
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
        """Mint what a task has pending, as far as it has room; a full task loses its votes. Returns what was minted.

        Args:
            room: what the task's own limit leaves, wei; the cap of a task is seen to here.
            supply_left: what the token can still mint, wei.

        Raises:
            ValueError: there is nothing to push.
        """
        share = self._bring(now, task)
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
        """Drop the votes of a task that can take no more, and what it was allotted and did not get."""
        self._drop(self._bring(now, task))

    # ---------------------------------------------------------------- internals

    def _let_out(self, now: int) -> int:
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

    def _bring(self, now: int, task: int) -> Share:
        """The task's share, counted up to ``now``."""
        self.accrue(now)
        if self.now != now:
            raise ValueError("more days than one counting covers: accrue first")
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
