"""One binding per contract: typed reads, and writes as `Call` values for the sender."""

from __future__ import annotations

from covey.chain.contracts.appeals import Appeal, AppealCommittee, Appeals, Contest
from covey.chain.contracts.base import Binding, Call
from covey.chain.contracts.bounds import Bounds, RegistryConfig
from covey.chain.contracts.committee import Committee
from covey.chain.contracts.emissions import Emissions
from covey.chain.contracts.faults import Faults
from covey.chain.contracts.manager import Manager
from covey.chain.contracts.registry import Entry, Registry
from covey.chain.contracts.rewards import Escrow, Rewards
from covey.chain.contracts.scoring import Scoring
from covey.chain.contracts.staking import Pool, Staking, StakingConfig, UnbondingEntry
from covey.chain.contracts.suite import Contracts
from covey.chain.contracts.token import Token

__all__ = [
    "Appeal",
    "AppealCommittee",
    "Appeals",
    "Binding",
    "Bounds",
    "Call",
    "Committee",
    "Contest",
    "Contracts",
    "Emissions",
    "Entry",
    "Escrow",
    "Faults",
    "Manager",
    "Pool",
    "Registry",
    "RegistryConfig",
    "Rewards",
    "Scoring",
    "Staking",
    "StakingConfig",
    "Token",
    "UnbondingEntry",
]
