"""A small artificial result, for tests of its presentation."""

from __future__ import annotations

from covey.devnet import result as parts

NAMES = ("Harbour Heart", "Mind & Nerve", "Shortcut Clinic")


def sample() -> parts.DemoResult:
    """A result with three entries and three validators, and no differences."""
    gains, honest = (0.171, 0.1512, -0.0002), (True, True, False)
    entries = [
        parts.EntryResult(
            name=name,
            operator="0x" + f"{lane + 10:02x}" * 20,
            honest=honest[lane],
            lane=lane,
            digest="ab" * 32,
            tokens_seen=20_000 * honest[lane],
            true_improvement=gains[lane],
            median=max(1, int(32_766 * gains[lane])),
            weight="1",
            reward_wei=str(10**21 * (3 - lane) * honest[lane]),
            losses=[parts.LossPoint(step=step, loss=6.4 - step / 40) for step in range(1, 41)] if honest[lane] else [],
        )
        for lane, name in enumerate(NAMES)
    ]
    validators = [
        parts.ValidatorResult(
            name=f"Lab {index}",
            operator="0x" + f"{index + 20:02x}" * 20,
            honest=index < 2,
            seats=9,
            loss=100 * index,
            gain=1_234 - 617 * index,
            reward_wei=str(10**20 * (2 - index)),
            scores=[entry.median for entry in entries] if index < 2 else [4801] * 3,
        )
        for index in range(3)
    ]
    columns = ["heart", "nerve"]
    return parts.DemoResult(
        seed=1,
        base=parts.Base(name="tiny", digest="cd" * 32, parameters=4_197_120),
        chain=parts.Chain(
            chain_id=31337, task_id=1, first_block=1, last_block=90, skipped_s=50_000,
            contracts={"Staking": "0x" + "ee" * 20},
        ),
        rules=parts.Rules(
            target_seats=31, floor_score=655, h=120, tau=320, power=2, bounty_wei=str(10**22), fees_wei=str(10**20),
            trainers_pool_wei=str(8 * 10**21), validators_pool_wei=str(21 * 10**20),
        ),
        strata={"heart": 0.5, "nerve": 0.5},
        held_out_records=1_200,
        entries=entries,
        validators=validators,
        matrix=parts.Matrix(
            rows=list(NAMES), columns=columns, values=[[0.27, 0.16], [0.14, 0.24], [0.0, 0.0]],
            own=[["heart"], ["nerve"], []],
        ),
        spearman=0.9,
        check=parts.Check(checked=100, differences=[]),
        phases=[parts.Phase(name="set up", seconds=6.5), parts.Phase(name="train", seconds=20.25)],
    )  # fmt: skip
