"""Off-chain documents: one spelling each; any other is refused with a one-line error."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.protocol import canonical
from covey.protocol.canonical import DocumentError
from covey.protocol.document import decimal_text
from covey.protocol.entry import Manifest
from covey.protocol.sheet import ScoreSheet
from covey.protocol.spec import TaskSpec

OPERATOR = "0x" + "ab" * 20
SPEC: dict[str, Any] = {
    "version": 1,
    "base": {"name": "Qwen/Qwen3-0.6B", "revision": "main", "digest": "a" * 64, "family": "qwen3"},
    "adapter": {"target_modules": ["k_proj", "q_proj"], "max_rank": 16, "max_bytes": 1_000_000},
    "domain": "discharge letters, Ärztebriefe",
    "strata": [
        {"name": "cardiology", "weight": 6_000, "min_records": 100, "min_tokens": 4_000},
        {"name": "oncology", "weight": 4_000, "min_records": 100, "min_tokens": 4_000},
    ],
    "evaluation": {"source": "local", "sequence_length": 256, "min_records": 200, "max_records": 600},
    "scoring": {"h": 150, "tau": 400, "bootstrap": {"samples": 200, "records": 400, "spread": 100}},
}
TASK = {"chain_id": 31337, "registry": OPERATOR, "task_id": 3, "spec": "b" * 64}
MANIFEST: dict[str, Any] = {
    "version": 1,
    "task": TASK,
    "operator": OPERATOR,
    "base_digest": "a" * 64,
    "records": 900,
    "tokens_seen": 120_000,
    "training": {
        "optimiser": "adamw",
        "learning_rate": "0.002",
        "schedule": "cosine",
        "steps": 40,
        "batch_records": 16,
        "sequence_length": 256,
        "rank": 8,
        "alpha": 16,
        "seed": 0,
    },
}
SHEET: dict[str, Any] = {
    "version": 1,
    "task": TASK,
    "operator": OPERATOR,
    "base_digest": "a" * 64,
    "source": "sealed",
    "profile": {"device": "cpu: 2 cores", "dtype": "float32", "software": {"torch": "2.13.0"}},
    "strata": [{"name": "cardiology", "records": 100, "tokens": 4_000, "base_nll": "9000.25"}],
    "entries": [
        {"lane": 0, "digest": "c" * 64, "score": 900, "verdict": "scored", "adapter_nll": ["8000.125"]},
        {"lane": 1, "digest": "d" * 64, "score": 0, "verdict": "invalid", "reason": "rank 32 is above 16"},
    ],
}


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one value set, or removed if the value is ..."""
    result = copy.deepcopy(document)
    *parents, last = path.split(".")
    parent: Any = result
    for name in parents:
        parent = parent[int(name)] if isinstance(parent, list) else parent[name]
    if value is ...:
        del parent[last]
    else:
        parent[last] = value
    return result


@pytest.mark.parametrize(("kind", "fields"), [(TaskSpec, SPEC), (Manifest, MANIFEST), (ScoreSheet, SHEET)])
def test_bytes_round_trip_and_have_one_spelling(kind: type[TaskSpec], fields: dict[str, Any]) -> None:
    document = kind.parse(fields)
    data = document.canonical_bytes()
    assert kind.from_bytes(data) == document
    assert kind.from_bytes(data).canonical_bytes() == data
    spaced = json.dumps(json.loads(data), indent=2).encode()
    assert kind.parse(spaced) == document
    with pytest.raises(DocumentError, match="canonical form"):
        kind.from_bytes(spaced)


def test_document_without_a_default_value_is_not_canonical() -> None:
    fields = json.loads(TaskSpec.parse(SPEC).canonical_bytes())
    del fields["rounding_step"]
    with pytest.raises(DocumentError, match="a null or a default value has another spelling"):
        TaskSpec.from_bytes(canonical.dumps(fields))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "red", "colour: Extra inputs are not permitted"),
        ("base.path", "/tmp", "base.path: Extra inputs"),
        ("base", ..., "base: Field required"),
        ("version", 2, "version"),
        ("version", True, "version"),
        ("base.family", "llama", "base.family"),
        ("base.digest", "A" * 64, "64 lower-case hex digits"),
        ("base.name", "../../etc", "base.name"),
        ("adapter.target_modules", ["q_proj", "k_proj"], "sorted and distinct"),
        ("adapter.target_modules", [], "target_modules"),
        ("adapter.max_rank", 0, "max_rank"),
        ("adapter.max_rank", "16", "max_rank"),
        ("adapter.max_rank", 16.0, "max_rank"),
        ("strata.0.weight", 6_001, "add up to 10001, not 10000"),
        ("strata.1.name", "cardiology", "same name"),
        ("strata.0.min_records", 1_000, "max_records 600 is below the 1100"),
        ("evaluation.max_records", 100, "max_records is below min_records"),
        ("evaluation.source", "remote", "evaluation.source"),
        ("scoring.h", 16_384, "scoring.h"),
        ("scoring.tau", 0, "scoring.tau"),
        ("scoring.floor", 0, "scoring.floor"),
        ("rounding_step", 0, "rounding_step"),
        ("domain", "two\nlines", "one line"),
        ("privacy", {"max_epsilon": "8.0", "delta": "0.00001"}, "no trailing zeros"),
        ("aggregation", {"rule": "vote"}, "aggregation.rule"),
    ],
)
def test_bad_spec_is_refused(path: str, value: Any, message: str) -> None:
    with pytest.raises(DocumentError, match="task spec: ") as caught:
        TaskSpec.parse(changed(SPEC, path, value))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("entries.1.lane", 2, "order of lane"),
        ("entries.0.score", 0, "contradicts the verdict scored"),
        ("entries.1.score", 1, "contradicts the verdict invalid"),
        ("entries.0.adapter_nll", ["1", "2"], "2 sums, expected 1"),
        ("entries.0.adapter_nll", ["nan"], "plain decimal"),
        ("entries.1.adapter_nll", ["1"], "1 sums, expected None"),
        ("strata.0.base_nll", ..., "base_nll is required for every stratum"),
        ("source", "local", "base_nll is required for every stratum"),
        ("operator", OPERATOR.upper(), "lower-case 0x address"),
        ("records", ["a record"], "Extra inputs"),
    ],
)
def test_bad_sheet_is_refused(path: str, value: Any, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        ScoreSheet.parse(changed(SHEET, path, value))
    assert message in str(caught.value)


def test_local_sheet_has_only_scores_and_counts() -> None:
    local = changed(changed(changed(SHEET, "source", "local"), "strata.0.base_nll", ...), "entries.0.adapter_nll", ...)
    assert ScoreSheet.parse(local).scores() == [900, 0]
    with pytest.raises(DocumentError, match="1 sums, expected None"):
        ScoreSheet.parse(changed(local, "entries.0.adapter_nll", ["1"]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a":1,"a":2}', "duplicate key 'a'"),
        (b'{"a":1.0}', "1.0 is not an integer"),
        (b'{"a":1e3}', "1e3 is not an integer"),
        (b'{"a":NaN}', "NaN is not an integer"),
        (b'{"a":-Infinity}', "-Infinity is not an integer"),
        (b"[]", "not a JSON object"),
        (b'{"a":"\xff"}', "not JSON"),
        (b'{"a":', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"b":1,"a":2}', "canonical form"),
        (b'{"a":1 }', "canonical form"),
        (b'{"a":"\\u0041"}', "canonical form"),
        (b'{"a":"\\ud800"}', "cannot be written as JSON"),
        (b'{"a":9007199254740992}', "beyond 2^53"),
        (b" " * (canonical.MAX_BYTES + 1), "at most"),
    ],
)
def test_reader_refuses_bytes_that_the_writer_does_not_produce(data: bytes, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        canonical.loads(data)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("document", "message"), [({"a": 1.5}, "float"), ({1: 2}, "not a string"), ({"a": [b"x"]}, "a[0]: bytes")]
)
def test_writer_refuses_values_without_a_canonical_form(document: Any, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        canonical.dumps(document)
    assert message in str(caught.value)


text = st.text('aZ09 "\\/\n\x7fäß€😀\u2028', max_size=5)
leaves = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text
trees = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=10)


@given(st.dictionaries(text, trees, max_size=4))
def test_canonical_bytes_round_trip_in_any_order_of_keys(document: dict[str, Any]) -> None:
    data = canonical.dumps(document)
    assert canonical.loads(data) == document
    assert canonical.dumps(dict(reversed(document.items()))) == data


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_decimal_text_is_exact_for_floats_and_has_no_exponent(number: float) -> None:
    text = decimal_text(number)
    assert float(text) == number
    assert "e" not in text.lower()
    assert decimal_text(Decimal(text)) == text


@pytest.mark.parametrize("text", ["0.0020", "2e-3", "+1", " 1", "1.", ".5", "-0", "nan", "inf", "0x1", "1_0", "٣"])
def test_other_spellings_of_a_fraction_are_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="decimal"):
        Manifest.parse(changed(MANIFEST, "training.learning_rate", text))


def test_all_errors_of_a_document_are_listed_and_many_are_counted() -> None:
    wrong = changed(changed(changed(SPEC, "scoring.h", -1), "adapter.max_rank", "x"), "domain", "two\nlines")
    with pytest.raises(DocumentError) as caught:
        TaskSpec.parse(wrong)
    message = str(caught.value)
    assert all(where in message for where in ("scoring.h: ", "adapter.max_rank: ", "domain: "))
    assert "more" not in message
    strata = [{"name": str(number), "weight": -1, "min_records": -1, "min_tokens": -1} for number in range(5)]
    with pytest.raises(DocumentError, match=r"; and \d+ more$"):
        TaskSpec.parse(changed(SPEC, "strata", strata))
