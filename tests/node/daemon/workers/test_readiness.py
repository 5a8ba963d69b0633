"""What keeps a node from taking tasks: its record files, and jobs that failed for its own fault."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.daemon.context import node_config, open_context, poll_until

from covey.cli.setup.findings import CheckFailed
from covey.cli.setup.node_checks import check_records
from covey.daemon.context import Context
from covey.daemon.duties import enrol, enter, jobs, rows, score
from covey.daemon.duties.outcomes import Waiting
from covey.daemon.duties.records import lacking_tokens, records_by_stratum
from covey.daemon.storage.retiring import NOTE, mark_retiring, unmark_retiring
from covey.daemon.strategy import Strategy
from covey.daemon.workers.background import Pending
from covey.daemon.workers.executor import Failure, Finished
from covey.lora.bases.resolve import resolve
from covey.lora.data.records import read_records
from covey.lora.errors import DataError
from covey.lora.jobs.result import TrainResult
from covey.protocol.spec import TaskSpec
from covey.protocol.types import Evaluation

GOOD = b'{"text": "hello world", "stratum": "a"}\n'
BAD = {
    "empty file": b"",
    "empty text": GOOD + b'{"text": "", "stratum": "a"}\n',
    "null text": GOOD + b'{"text": null, "stratum": "a"}\n',
    "no text": b'{"stratum": "a"}\n',
    "chat": b'{"messages": [{"role": "user", "content": "u"}], "stratum": "a"}\n',
    "lone surrogate": b'{"text": "\\ud800", "stratum": "a"}\n',
    "numeric stratum": b'{"text": "x", "stratum": 1}\n',
    "utf-16": GOOD.decode().encode("utf-16"),
    "latin-1": '{"text": "é", "stratum": "a"}\n'.encode("latin-1"),
    "not json": GOOD + b"oops\n",
    "blank line": GOOD + b"\n" + GOOD,
}


def settled(context: Context, path: Path) -> dict[str, int] | str:
    """The counts of a file, or the reason why it has none, once it is read."""

    def read() -> dict[str, int] | str | None:
        try:
            return context.readiness.counts(path)
        except Pending:
            return None
        except DataError as error:
            return str(error)

    result = poll_until(read, lambda value: value is not None)
    assert result is not None
    return result


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_check_enrolment_health_and_worker_say_the_same(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError) as worker:
        read_records(path)
    with pytest.raises(CheckFailed) as check:
        check_records(path)
    assert str(check.value) == str(worker.value)
    config = node_config(tmp_path / "data", roles=["validator", "trainer"], heldout_records=path, training_records=path)
    with open_context(tmp_path, config=config) as context:
        assert settled(context, path) == str(worker.value)
        waiting = records_by_stratum(context, path)
        assert waiting == Waiting(str(worker.value))
        assert context.readiness.problems() == [
            f"training records: {worker.value}; until this is fixed, the node takes no new task as trainer",
            f"held-out records: {worker.value}; until this is fixed, the node takes no new task as validator",
        ]


@pytest.mark.parametrize(
    ("content", "counts"),
    [(b"\xef\xbb\xbf" + GOOD, {"a": 1}), (GOOD + b"\n \n", {"a": 1}), (GOOD + GOOD.rstrip(), {"a": 2})],
)
def test_marks_and_blank_lines_at_the_end_are_skipped_everywhere(
    tmp_path: Path, content: bytes, counts: dict[str, int]
) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(content)
    assert len(read_records(path)) == sum(counts.values())
    assert check_records(path) == f"{counts['a']} records: a {counts['a']}"
    with open_context(tmp_path) as context:
        assert settled(context, path) == counts


def test_a_file_that_disappears_or_changes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    with open_context(tmp_path, config=node_config(tmp_path / "data", heldout_records=path)) as context:
        poll_until(context.readiness.problems)
        assert "no records at" in context.readiness.problems()[0]
        path.write_bytes(GOOD)
        assert settled(context, path) == {"a": 1}
        assert context.readiness.problems() == []
        path.write_bytes(GOOD + b"oops\n")
        assert "records.jsonl:2" in str(settled(context, path))
        path.unlink()
        poll_until(context.readiness.problems, lambda found: "no records at" in "".join(found))


def spec(**tokens: int) -> TaskSpec:
    base = resolve("tiny")
    return TaskSpec.parse(
        {
            "version": 1,
            "base": {"name": "tiny", "revision": "1", "digest": base.digest, "family": "qwen3"},
            "adapter": {"target_modules": ["q_proj"], "max_rank": 4, "max_bytes": 1 << 20},
            "domain": "weather",
            "strata": [
                {"name": name, "weight": 10_000 // len(tokens), "min_records": 1, "min_tokens": minimum}
                for name, minimum in tokens.items()
            ],
            "evaluation": {"source": "local", "sequence_length": 16, "min_records": 1, "max_records": 9},
            "scoring": {"h": 50, "tau": 500, "floor": 100},
        }
    )


@pytest.mark.parametrize(
    ("needed", "reason"),
    [
        ({"a": 1, "b": 1}, None),
        ({"a": 12_000, "b": 15}, None),
        ({"a": 1, "b": 16}, "stratum 'b' needs 16 tokens of held-out records, there are 15"),
        ({"a": 12_001, "b": 1}, "stratum 'a' needs 12001 tokens of held-out records, there are 12000"),
    ],
)
def test_tokens_are_counted_before_stake_is_put_up(tmp_path: Path, needed: dict[str, int], reason: str | None) -> None:
    path = tmp_path / "records.jsonl"
    lines = [json.dumps({"text": "word " * 40, "stratum": name}) for name in ["a"] * 800 + ["b", "other"]]
    path.write_text("\n".join(lines), encoding="utf-8")
    with open_context(tmp_path) as context:

        def count() -> str | Waiting | None:
            return lacking_tokens(context, 1, spec(**needed), "tiny", path)

        assert poll_until(count, lambda value: not isinstance(value, Waiting)) == reason


def test_a_job_that_fails_for_the_nodes_fault_stops_new_tasks_until_one_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[Finished] = []
    executor: Any = SimpleNamespace(poll=lambda: [finished.pop()] if finished else [])
    path = tmp_path / "records.jsonl"
    path.write_bytes(GOOD)
    config = node_config(tmp_path / "data", roles=["validator", "trainer"], heldout_records=path, training_records=path)
    with open_context(tmp_path, config=config, executor=executor) as context:
        for module in (enrol, enter):
            for name in ("transaction_progress", "revert_reason"):
                monkeypatch.setattr(module, name, lambda *_: None)
        task: Any = SimpleNamespace(id=1)
        duty: Any = SimpleNamespace(key="enrol/2/0/0", task=2)
        monkeypatch.setattr(enrol, "spec_of", lambda *_: spec(a=1))

        def collect(failure: Failure | None) -> None:
            context.journal.start_job("score/1/0/0", 1)
            result = None if failure else TrainResult(folder="f", losses=[], records=1, tokens_seen=1)
            finished.append(Finished("score/1/0/0", result, failure))
            jobs.collect(context)

        collect(Failure("out of memory", retry=True))
        collect(Failure("the spec is odd", retry=False))
        poll_until(lambda: context.readiness.problems() == [])
        collect(Failure("no usable GPU on this machine", retry=False, setup=True))
        problem = (
            "job of score/1/0/0: no usable GPU on this machine; "
            "the node takes no new task until this is fixed and the node restarted"
        )
        assert context.readiness.problems() == [problem]
        assert enrol.advance(context, task, duty) == Waiting(problem)
        collect(None)
        assert context.readiness.problems() == []


def test_a_node_whose_operator_retires_takes_no_new_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(GOOD)
    config = node_config(tmp_path / "data", roles=["validator", "trainer"], heldout_records=path, training_records=path)
    with open_context(tmp_path, config=config) as context:
        for module in (enrol, enter):
            for name in ("transaction_progress", "revert_reason"):
                monkeypatch.setattr(module, name, lambda *_: None)
        monkeypatch.setattr(enrol, "spec_of", lambda *_: spec(a=1))
        monkeypatch.setattr(enter, "base_of", lambda *_: "tiny")
        for name in ("reason_not_to_enter", "reason_of_base"):
            monkeypatch.setattr(enter, name, lambda *_, **__: None)
        context.strategy = Strategy()
        contracts: Any = SimpleNamespace(registry=SimpleNamespace(entry_fee_at=lambda *_: 1))
        context.contracts = contracts
        monkeypatch.setattr(enter, "TrainJob", lambda **_: None)
        monkeypatch.setattr(jobs, "train", lambda *_: None)
        monkeypatch.setattr(Context, "reference", lambda *_: None)
        task: Any = SimpleNamespace(id=1, entries=[], params=None)
        duty: Any = SimpleNamespace(key="enter/1/0/0", task=1)
        mark_retiring(config.data_dir)
        assert enrol.advance(context, task, duty) == Waiting(NOTE)
        assert enter._train(context, task, duty, spec(a=1)) == Waiting(NOTE)
        poll_until(lambda: context.readiness.problems() == [])
        context.journal.start_job(duty.key, 1)
        assert enter._train(context, task, duty, spec(a=1)) != Waiting(NOTE), "a started entry is finished"
        assert unmark_retiring(config.data_dir)
        monkeypatch.setattr(enrol, "reason_not_to_score", lambda *_: "another reason")
        assert "another reason" in str(enrol.advance(context, task, duty))


def test_a_scoring_job_waits_for_records_that_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.jsonl"
    with open_context(tmp_path, config=node_config(tmp_path / "data", heldout_records=path)) as context:
        monkeypatch.setattr(score, "spec_of", lambda *_: spec(a=1))
        monkeypatch.setattr(score, "base_of", lambda *_: "tiny")
        monkeypatch.setattr(score, "fetch_entries", lambda *_: None)
        monkeypatch.setattr(score, "_wait_for_entries", lambda *_: None)
        monkeypatch.setattr(score, "fetch_earlier", lambda *_: SimpleNamespace(pending=0, folders=[]))
        monkeypatch.setattr(rows, "drop_outdated_job", lambda *_: None)
        task: Any = SimpleNamespace(id=1, params=SimpleNamespace(evaluation=Evaluation.LOCAL))
        duty: Any = SimpleNamespace(key="score/1/0/0", task=1)

        def step() -> object:
            return score._score(context, task, duty)

        waiting = poll_until(step, lambda step: step != Waiting("reading the records"))
        assert isinstance(waiting, Waiting)
        assert "no records at" in waiting.reason
