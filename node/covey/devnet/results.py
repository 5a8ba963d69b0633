"""Builds the result of a finished run: joins participants with entries, rows and payments."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from covey.audit.rules import Ruling
from covey.devnet import result as parts
from covey.devnet.errors import DevnetError

if TYPE_CHECKING:
    from covey.audit.replay import Audit
    from covey.devnet.driver import TaskWatcher
    from covey.devnet.operators import Operator
    from covey.lora.bases.resolve import BaseFolder
    from covey.lora.jobs.result import EvaluateResult
    from covey.protocol.spec import TaskSpec


def build_result(
    watch: TaskWatcher,
    operators: Sequence[Operator],
    spec: TaskSpec,
    base: BaseFolder,
    truth: EvaluateResult,
    audit: Audit,
    phases: list[parts.Phase],
    seed: int,
) -> parts.DemoResult:
    """Build the result.

    Rewards are the payments of the contracts; medians, seats, losses and gains are those of the audited settlement.

    Args:
        truth: result of the evaluation job on the common set.
    """
    ruling = audit.rulings[watch.task]
    entries = _build_entries(watch, operators, truth, ruling)
    chain = watch.chain
    return parts.DemoResult(
        seed=seed,
        base=parts.Base(name=spec.base.name, digest=base.digest, parameters=count_parameters(base.config)),
        chain=parts.Chain(
            chain_id=chain.deployment.chain_id,
            task_id=watch.task,
            first_block=chain.deployment.start_block,
            last_block=chain.rpc.block_number(),
            skipped_s=watch.skipped_s,
            contracts=chain.deployment.addresses,
        ),
        rules=_build_rules(watch, ruling),
        strata={stratum.name: stratum.weight / 10_000 for stratum in spec.strata},
        held_out_records=truth.records,
        entries=entries,
        validators=_build_validators(watch, operators, ruling),
        matrix=_build_matrix(operators, spec, truth),
        spearman=spearman([entry.true_improvement for entry in entries], [float(entry.median) for entry in entries]),
        check=parts.Check(
            checked=audit.checked,
            differences=[str(difference) for difference in audit.differences],
            unavailable=audit.unavailable,
        ),
        phases=phases,
    )


def _build_entries(
    watch: TaskWatcher, operators: Sequence[Operator], truth: EvaluateResult, ruling: Ruling
) -> list[parts.EntryResult]:
    record = watch.record()
    paid = {int(args["lane"]): int(args["amount"]) for args, _ in record.entry_claims}
    entries = []
    for entry in ruling.entries:
        operator = next(operator for operator in operators if operator.address == entry.operator)
        losses, tokens = operator.training()
        digest = str(record.revealed[entry.lane]["digest"]).removeprefix("0x")
        entries.append(
            parts.EntryResult(
                name=operator.participant.name,
                operator=entry.operator,
                honest=operator.participant.honest,
                lane=entry.lane,
                digest=digest,
                tokens_seen=tokens,
                true_improvement=truth.improvement.get(operator.participant.slug, 0.0),
                median=entry.median,
                weight=str(entry.weight),
                reward_wei=str(paid.get(entry.lane, 0)),
                losses=smooth(losses),
            )
        )
    return entries


def _build_validators(watch: TaskWatcher, operators: Sequence[Operator], ruling: Ruling) -> list[parts.ValidatorResult]:
    paid = {str(args["operator"]): int(args["amount"]) for args, _ in watch.record().scoring_claims}
    rows = {row.operator: row for row in ruling.rows}
    results = []
    for operator in operators:
        if operator.participant.trainer:
            continue
        row = rows.get(operator.address)
        if row is None:
            raise DevnetError(f"{operator.participant.name} revealed no scores: see {operator.log}")
        results.append(
            parts.ValidatorResult(
                name=operator.participant.name,
                operator=row.operator,
                honest=operator.participant.honest,
                seats=row.seats,
                loss=row.loss,
                gain=row.gain,
                reward_wei=str(paid.get(row.operator, 0)),
                scores=row.scores,
            )
        )
    return results


def _build_rules(watch: TaskWatcher, ruling: Ruling) -> parts.Rules:
    record = watch.record()
    params = record.params
    return parts.Rules(
        target_seats=int(params["targetSeats"]),
        floor_score=int(params["floorScore"]),
        h=int(params["h"]),
        tau=int(params["tau"]),
        power=int(params["power"]),
        bounty_wei=str(params["bounty"]),
        fees_wei=str(sum(int(entry["fee"]) for entry in record.committed)),
        trainers_pool_wei=str(ruling.pools.trainers),
        validators_pool_wei=str(ruling.pools.validators),
    )


def _build_matrix(operators: Sequence[Operator], spec: TaskSpec, truth: EvaluateResult) -> parts.Matrix:
    trainers = [operator for operator in operators if operator.participant.trainer]
    columns = [stratum.name for stratum in spec.strata]
    return parts.Matrix(
        rows=[operator.participant.name for operator in trainers],
        columns=columns,
        values=[
            [truth.strata.get(operator.participant.slug, {}).get(column, 0.0) for column in columns]
            for operator in trainers
        ],
        own=[list(operator.participant.strata) for operator in trainers],
    )


def smooth(losses: Sequence[float], window: int = 5) -> list[parts.LossPoint]:
    """Loss per step, averaged over a trailing window; `step` starts at 1."""
    return [
        parts.LossPoint(step=step, loss=round(math.fsum(losses[max(0, step - window) : step]) / min(step, window), 4))
        for step in range(1, len(losses) + 1)
    ]


def spearman(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Spearman's rank correlation, ties averaged; 0 if one side is constant."""
    from scipy.stats import spearmanr

    if len(set(xs)) < 2 or len(set(ys)) < 2:
        return 0.0
    return round(float(spearmanr(xs, ys).statistic), 4)


def count_parameters(config: dict[str, Any]) -> int:
    """Number of weights of a Qwen2 or Qwen3 model, from its configuration; a tied head counts once."""
    hidden, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
    heads, groups = int(config["num_attention_heads"]), int(config["num_key_value_heads"])
    size = int(config.get("head_dim") or hidden // heads)
    attention = hidden * size * (2 * heads + 2 * groups)
    if config["model_type"] == "qwen3":
        attention += 2 * size  # norms of queries and keys
    else:
        attention += size * (heads + 2 * groups)  # biases
    block = attention + 3 * hidden * int(config["intermediate_size"]) + 2 * hidden
    embeddings = int(config["vocab_size"]) * hidden * (1 if config.get("tie_word_embeddings") else 2)
    return embeddings + layers * block + hidden


def as_json(result: parts.DemoResult) -> str:
    """The result as JSON, with its total wall time."""
    return json.dumps({**result.model_dump(mode="json"), "total_s": round(result.total_s, 2)}, indent=2)
