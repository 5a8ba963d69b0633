"""Results as JSON: those of this version, and those that earlier versions left in journals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from covey.lora.errors import ResultError
from covey.lora.jobs.messages import ResultMessage, parse_message
from covey.lora.jobs.result import (
    Bootstrap,
    EvaluateResult,
    Improvement,
    ProbeResult,
    Result,
    ScoreResult,
    TrainResult,
    parse_result,
)
from covey.protocol.sheet import LaneScore, Profile, Sample

PROFILE = Profile(device="x86_64 cpu", dtype="bfloat16", threads=1, software={"torch": "2.13.0"})
RESULTS: list[Result] = [
    TrainResult(folder="/entry", losses=[4.0, 3.5], records=200, tokens_seen=6_000, seconds=1.5, bytes=4096),
    ScoreResult(
        entries=[
            LaneScore(lane=0, score=6401, verdict="scored"),
            LaneScore(lane=1, score=0, verdict="invalid", reason="not_finite: NaN weights"),
        ],
        strata=[Sample(name="kidney", records=20, tokens=900)],
        profile=PROFILE,
        private={0: Improvement(improvement=0.2, strata={"kidney": 0.2})},
    ),
    EvaluateResult(
        improvement={"first": 0.25},
        strata={"first": {"kidney": 0.25}},
        scores={"first": 8192},
        records=150,
        bootstrap=Bootstrap(samples=400, records=600, spread=90.5, spreads=[90.5], h=136, tau=362),
    ),
    ProbeResult(profile=PROFILE),
]
EARLIER: list[tuple[dict[str, Any], type[Result]]] = [
    (
        {
            "folder": "/entry",
            "losses": [4, 3.5],
            "records": 200,
            "tokens_seen": 6_000,
            "seconds": 1.5,
            "tokens_per_second": 4_000.0,
            "bytes": 4096,
            "settings": {
                "optimiser": "adamw",
                "learning_rate": "0.002",
                "schedule": "cosine",
                "warmup_steps": 4,
                "steps": 2,
                "batch_records": 16,
                "sequence_length": 48,
                "rank": 8,
                "alpha": 16,
                "dropout": "0",
                "weight_decay": "0",
                "seed": 1,
            },
        },
        TrainResult,
    ),
    (
        {
            "scores": {"0": 6401, "1": 0},
            "reasons": {"0": None, "1": "no source had the files"},
            "entries": [
                {"lane": 0, "score": 6401, "verdict": "scored"},
                {"lane": 1, "score": 0, "verdict": "unavailable", "reason": "no source had the files"},
            ],
            "strata": [{"name": "kidney", "records": 20, "tokens": 900}],
            "profile": {"device": "x86_64 cpu", "dtype": "bfloat16", "threads": 1, "software": {"torch": "2.13.0"}},
            "seconds": 2.0,
            "private": {"0": {"improvement": 0.2, "strata": {"kidney": 0.2}}},
        },
        ScoreResult,
    ),
    (
        {
            "improvement": {"first": 0.25},
            "strata": {"first": {"kidney": 0.25}},
            "scores": {"first": 8192},
            "refused": {},
            "base_loss": {"kidney": 3.5},
            "records": 150,
            "tokens": 6_000,
            "seconds": 2.0,
        },
        EvaluateResult,
    ),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.kind)
def test_result_survives_json(result: Result) -> None:
    assert parse_result(result.model_dump_json()) == result
    line = ResultMessage(id="a", result=result).model_dump_json()
    assert "\n" not in line
    assert parse_message(line) == ResultMessage(id="a", result=result)


@pytest.mark.parametrize(("fields", "expected"), EARLIER, ids=["train", "score", "evaluate"])
def test_result_of_an_earlier_version_parses(fields: dict[str, Any], expected: type[Result]) -> None:
    result = parse_result(json.dumps(fields))
    assert type(result) is expected
    if isinstance(result, ScoreResult):
        assert result.scores() == {0: 6401, 1: 0}
        assert result.reasons() == {1: "no source had the files"}
        assert result.private[0].improvement == 0.2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "result: Unable to extract tag"),
        ('{"kind": "other"}', "does not match any of the expected tags"),
        ('{"kind": 1}', "result: Unable to extract tag"),
        ("nonsense", "result: Invalid JSON"),
        ('{"kind": "score", "entries": []}', "entries: List should have at least 1 item"),
    ],
)
def test_malformed_result_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ResultError, match=message) as caught:
        parse_result(text)
    assert "\n" not in str(caught.value)


def test_score_that_contradicts_its_verdict_is_refused() -> None:
    fields = EARLIER[1][0] | {"entries": [{"lane": 0, "score": 5, "verdict": "invalid"}]}
    with pytest.raises(ResultError, match="a score of 5 contradicts the verdict invalid"):
        parse_result(json.dumps(fields))
