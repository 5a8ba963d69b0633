"""All contracts of one deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covey.chain.contracts.appeals import AppealCommittee, Appeals
from covey.chain.contracts.bounds import Bounds
from covey.chain.contracts.emissions import Emissions
from covey.chain.contracts.faults import Faults
from covey.chain.contracts.registry import Registry
from covey.chain.contracts.rewards import Rewards
from covey.chain.contracts.scoring import Scoring
from covey.chain.contracts.staking import Staking
from covey.chain.contracts.token import Token

if TYPE_CHECKING:
    from covey.chain.deployment import Deployment
    from covey.chain.rpc.client import BlockId, Rpc


class Contracts:
    """Bindings of a deployment over one `Rpc`; ``block`` is the default block of reads."""

    def __init__(self, rpc: Rpc, deployment: Deployment, block: BlockId = "latest") -> None:
        self.rpc = rpc
        self.deployment = deployment
        self.token = Token(rpc, deployment.address("CoveyToken"), block)
        self.staking = Staking(rpc, deployment.address("Staking"), block)
        self.bounds = Bounds(rpc, deployment.address("TaskBounds"), block)
        self.registry = Registry(rpc, deployment.address("TaskRegistry"), block)
        self.scoring = Scoring(rpc, deployment.address("Scoring"), block)
        self.rewards = Rewards(rpc, deployment.address("Rewards"), block)
        self.emissions = Emissions(rpc, deployment.address("Emissions"), block)
        self.faults = Faults(rpc, deployment.address("Faults"), block)
        self.appeals = Appeals(rpc, deployment.address("Appeals"), block)
        self.appeal_committee = AppealCommittee(rpc, deployment.address("AppealCommittee"), block)
