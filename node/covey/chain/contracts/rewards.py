"""Rewards: escrow, claims, credits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from covey.chain.contracts.base import Binding, Call
from covey.chain.units import cvy
from covey.protocol.types import Outcome


@dataclass(frozen=True, slots=True)
class Escrow:
    """Funds of a task; see IRewards.Escrow. Amounts are wei."""

    bounty: int
    bond: int
    fees: int
    extra: int
    appeal_cost: int
    trainers_pool: int
    validators_pool: int
    remaining: int
    scoring_units: int
    weights: int
    floor_score: int
    power: int
    outcome: Outcome
    closed: bool
    flat: bool


class Rewards(Binding):
    """Reads and writes of the rewards contract."""

    artifact = "Rewards"

    # ------------------------------------------------------------------ reads

    def escrow_of(self, task_id: int) -> Escrow:
        """The funds of a task."""
        return self._read_struct(Escrow, "escrowOf", task_id)

    def bounty_of(self, task_id: int) -> int:
        """The task's bounty with its top-ups, wei."""
        return int(self._read("bountyOf", task_id))

    def validators_pool_of(self, task_id: int) -> int:
        """The validators' pool before the task's end: their share of the bounty, plus the entry fees, wei."""
        return int(self._read("validatorsPoolOf", task_id))

    def owed_to(self, account: str) -> int:
        """Credit that ``account`` can withdraw, wei."""
        return int(self._read("owedTo", account))

    def entry_claimed(self, task_id: int, lane: int) -> bool:
        """True once the lane's reward was paid."""
        return bool(self._read("entryClaimed", task_id, lane))

    def scoring_claimed(self, task_id: int, operator: str) -> bool:
        """True once the validator's reward was paid."""
        return bool(self._read("scoringClaimed", task_id, operator))

    def fee_claimed(self, task_id: int, operator: str) -> bool:
        """True once the entry fee was refunded."""
        return bool(self._read("feeClaimed", task_id, operator))

    def entry_reward(self, task_id: int, median: int) -> int:
        """The reward of an entry with that median, wei."""
        return int(self._read("entryReward", task_id, median))

    def scoring_reward(self, task_id: int, operator: str) -> int:
        """The reward of a validator, wei."""
        return int(self._read("scoringReward", task_id, operator))

    def tip_amount(self) -> int:
        """Tip for the caller of a task's step, wei."""
        return int(self._read("tipAmount"))

    # ------------------------------------------------------------------ writes

    def claim_entry(self, task_id: int, lane: int, word: int, proof: Sequence[bytes]) -> Call:
        """Pay an entry's share into its operator's pool; see `covey.protocol.merkle.proof`."""
        return self._write(
            f"claim the reward of lane {lane} of task {task_id}", "claimEntry", task_id, lane, word, list(proof)
        )

    def claim_scoring(self, task_id: int, operator: str) -> Call:
        """Pay a validator's share into its pool."""
        return self._write(f"claim the scoring reward of task {task_id}", "claimScoring", task_id, operator)

    def claim_fee(self, task_id: int, operator: str) -> Call:
        """Refund an entry fee after a refunded or failed task."""
        return self._write(f"claim back the entry fee of task {task_id}", "claimFee", task_id, operator)

    def top_up(self, task_id: int, amount: int) -> Call:
        """Add to the bounty of a running task; needs an allowance of ``amount`` for Rewards."""
        return self._write(f"add {cvy(amount)} to the bounty of task {task_id}", "topUp", task_id, amount)

    def withdraw(self, account: str) -> Call:
        """Pay out the credit of ``account``."""
        return self._write(f"withdraw the credit of {account}", "withdraw", account)
