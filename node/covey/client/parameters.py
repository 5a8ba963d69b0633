"""Parameters of a network, each with its value, its unit and the contract that holds it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from covey.audit.chain import Chain
from covey.chain.contracts.bounds import RegistryConfig
from covey.protocol.types import Windows


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    `unit` is wei, s (seconds), bps (1/10000), score (1/32766 of a whole improvement), 1e-18 (10^18 is 1), or empty for
    a count.
    """

    contract: str
    name: str
    value: int
    unit: str
    meaning: str


_STAKING = (
    ("minSelfBond", "wei", "minimum stake of an operator in its own pool"),
    ("unbondingPeriod", "s", "time between undelegating and withdrawing, in which stake can be slashed"),
    ("maxTaskLife", "s", "maximum duration of a task with a second committee and an appeal"),
    ("dripPeriod", "s", "time over which a reward reaches the share price"),
    ("commissionNotice", "s", "time between announcing a higher commission and applying it"),
    ("maxCommissionBps", "bps", "highest commission"),
    ("absenceCapBps", "bps", "maximum share of a pool that absences cost in one unbonding period"),
    ("jailPeriod", "s", "time in jail"),
    ("leverage", "", "an operator's earmarks are at most this multiple of its self-bond"),
)
_BOUNDS = {
    "min_bounty": ("wei", "minimum bounty"),
    "min_bond": ("wei", "minimum bond of a creator"),
    "stake_multiple_bps": ("bps", "minimum of a task's minimum stake, as a share of its bounty"),
    "max_entries": ("", "maximum number of entries"),
    "max_target_seats": ("", "largest committee"),
    "max_h": ("score", "largest clipping distance h"),
    "max_tau": ("score", "largest tolerance tau"),
    "max_floor": ("score", "highest floor score"),
    "min_validator_bps": ("bps", "smallest share of the bounty for validators"),
    "min_seats": ("", "smallest committee"),
    "min_sealed_tau": ("score", "smallest tolerance tau of a sealed task"),
}
_EMISSIONS = (
    ("decay", "1e-18", "each day's amount as a share of the day's before, 10^18 is all of it"),
    ("cap", "wei", "maximum of all emissions"),
    ("taskCap", "wei", "maximum of one task's emissions"),
    ("quorum", "wei", "votes below this weight emit in proportion"),
)


def read_parameters(chain: Chain) -> list[Parameter]:
    """All parameters of the network that anyone may need to know, in the order of the contracts."""
    c = chain.contracts
    found = [Parameter("Staking", name, c.staking.read_number(name), unit, text) for name, unit, text in _STAKING]
    bounds = c.bounds.config()
    for window in fields(Windows):
        value = getattr(bounds.min_windows, window.name)
        text = f"shortest {window.name.replace('_', ' ')} window"
        found.append(Parameter("TaskBounds", f"minWindows.{_camel(window.name)}", value, "s", text))
    for field in fields(RegistryConfig):
        if field.name != "min_windows":
            unit, text = _BOUNDS[field.name]
            found.append(Parameter("TaskBounds", _camel(field.name), getattr(bounds, field.name), unit, text))
    tip = c.rewards.read_number("tipAmount")
    meaning = "paid from the creator's bond for each step that anyone may do"
    found.append(Parameter("Rewards", "tipAmount", tip, "wei", meaning))
    found.append(Parameter("Emissions", "daily", c.emissions.stream().daily, "wei", "released a day, now"))
    found += [
        Parameter("Emissions", name, c.emissions.read_number(name), unit, text) for name, unit, text in _EMISSIONS
    ]
    return found


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
