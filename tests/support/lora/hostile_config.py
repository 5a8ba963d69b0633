"""Hostile configs and manifests: numbers, methods, types, labels, code, targets, manifests of other entries."""

from __future__ import annotations

import json
from typing import Any

from tests.support.lora.hostile_base import (
    CONFIG_FIELDS,
    MANIFEST_FIELDS,
    VALID_CONFIG,
    VALID_MANIFEST,
    Json,
    Rows,
    Write,
    fields,
    raw,
    without,
)
from tests.support.lora.instrumented import BASE_DIGEST, OPERATOR

from covey.lora.adapters.format import CONFIG, MANIFEST
from covey.lora.adapters.refusal import Refusal
from covey.protocol import canonical


def numbers() -> Rows:
    rank: Any
    alpha: Any
    dropout: Any
    pattern: Any
    for rank in (0, -1, -(10**30), True, "1", "1e0", 1.0, 1.5, None, [1], {}, [], ""):
        yield f"r {rank!r}", fields(r=rank), Refusal.BAD_CONFIG_VALUE
    for rank in (9, 65, 1 << 31, (1 << 32) + 1, 1 << 63, (1 << 64) + 1, 10**30, 10**4000):
        yield f"r {rank!r:.40}", fields(r=rank), Refusal.RANK_TOO_HIGH
    for alpha in (
        0,
        -1,
        -0.0,
        65,
        1e9,
        1e308,
        10**308,
        10**400,
        10**4000,
        -(10**400),
        1 << 63,
        True,
        "2",
        None,
        [2],
        {},
    ):
        yield f"lora_alpha {alpha!r:.40}", fields(lora_alpha=alpha), Refusal.BAD_CONFIG_VALUE
    for dropout in (1, -0.1, 2, 10**400, "0", True, False, None, [], {}):
        yield f"lora_dropout {dropout!r:.40}", fields(lora_dropout=dropout), Refusal.BAD_CONFIG_VALUE
    for field in ("r", "lora_alpha", "lora_dropout"):
        old = f'"{field}":{CONFIG_FIELDS[field]}'.encode()
        if old not in VALID_CONFIG:
            raise ValueError(f"not in the config: {old!r}")
        for number in ("1e999", "-1e999"):
            yield (
                f"{field} {number}",
                raw(CONFIG, VALID_CONFIG.replace(old, f'"{field}":{number}'.encode())),
                Refusal.BAD_CONFIG_VALUE,
            )
    yield (
        "the smallest alpha over rank",
        raw(CONFIG, json.dumps(CONFIG_FIELDS | {"r": 8, "lora_alpha": 5e-324}).encode()),
        Refusal.BAD_CONFIG_VALUE,
    )
    for pattern in (
        {"q_proj": 64},
        {".*": 1},
        {"(a+)+$": 1},
        {"": 1 << 40},
        {"q_proj": -1},
        {"q_proj": "os"},
        [],
        "x",
        None,
        1,
    ):
        for field in ("rank_pattern", "alpha_pattern"):
            yield f"{field} {json.dumps(pattern)}", fields(**{field: pattern}), Refusal.BAD_CONFIG_VALUE


def methods() -> Rows:
    peft = (
        "PROMPT_TUNING MULTITASK_PROMPT_TUNING P_TUNING PREFIX_TUNING ADALORA BOFT ADAPTION_PROMPT IA3 LOHA LOKR OFT "
        "POLY LN_TUNING VERA FOURIERFT XLORA HRA VBLORA CPT BONE RANDLORA TRAINABLE_TOKENS SHIRA C3A MISS ROAD"
    )
    choices: dict[str, tuple[Any, ...]] = {
        "peft_type": (*peft.split(), "lora", "LORA ", "LОRA", "Lora", "", ["LORA"]),
        "task_type": ("SEQ_CLS", "SEQ_2_SEQ_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION", ""),
        "bias": ("all", "lora_only", "None", None, True),
        "use_dora": (True, 1, 0, "false", None),
        "use_rslora": (True, 1, 0, "false", None),
        "fan_in_fan_out": (True, 0),
        "lora_bias": (True, 0),
        "use_qalora": (True, 0),
        "ensure_weight_tying": (True, 0),
        "inference_mode": (1, 0, None, "true"),
        "init_lora_weights": (
            "gaussian",
            "pissa",
            "pissa_niter_4",
            "olora",
            "eva",
            "loftq",
            "corda",
            "orthogonal",
            "lora_ga",
            None,
            1,
        ),
        "modules_to_save": (["lm_head"], ["embed_tokens"], [""], "lm_head", {}, ()[:0] == (), ["lm_head"] * 1000),
        "layers_to_transform": (0, [0], [-1], [1 << 40], []),
        "layers_pattern": ("layers", ["layers"], "", []),
        "layer_replication": ([[0, 4], [2, 5]], [[0, 1 << 40]], []),
        "exclude_modules": ("q_proj", ["q_proj"], "(a+)+$", []),
        "target_parameters": (["mlp.experts"], []),
        "trainable_token_indices": ([1], {"embed_tokens": [1]}, []),
        "auto_mapping": (
            {"base_model_class": "Popen", "parent_library": "subprocess"},
            {"base_model_class": "system", "parent_library": "os"},
            {"parent_library": "../../evil"},
            {},
            "os",
        ),
        "revision": ("main", "refs/pr/1", "", "../../x"),
        "megatron_config": ({"x": 1}, {}),
        "megatron_core": ("os", "evil", "megatron.core.evil", None, ""),
        "loftq_config": ({"loftq_bits": 4}, []),
        "alora_invocation_tokens": ([1], []),
        "qalora_group_size": (0, -1, 15, 16.0, 1 << 40),
    }
    for field, wrong in choices.items():
        for value in wrong:
            yield f"{field} {json.dumps(value)[:60]}", fields(**{field: value}), Refusal.BAD_CONFIG_VALUE
    for field in ("peft_type", "r", "lora_alpha", "target_modules"):
        yield f"no {field}", without(field), Refusal.BAD_CONFIG_VALUE
    yield "no field at all", raw(CONFIG, b"{}"), Refusal.BAD_CONFIG_VALUE


NEUTRAL_FIELDS = (
    *(
        "peft_type",
        "task_type",
        "bias",
        "fan_in_fan_out",
        "inference_mode",
        "init_lora_weights",
        "use_rslora",
        "use_dora",
    ),
    *("lora_bias", "modules_to_save", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern"),
    *("exclude_modules", "target_parameters", "trainable_token_indices", "auto_mapping", "revision", "megatron_config"),
    *(
        "megatron_core",
        "loftq_config",
        "eva_config",
        "corda_config",
        "lora_ga_config",
        "velora_config",
        "monteclora_config",
    ),
    *("arrow_config", "kasa_config", "alora_invocation_tokens", "layer_replication", "use_qalora", "qalora_group_size"),
    *("use_bdlora", "ensure_weight_tying"),
)


def types() -> Rows:
    value: Any
    for field in NEUTRAL_FIELDS:
        for value in ("os.system", 7, -1.5, ["lm_head"], {"base_model_class": "os"}, [[]]):
            yield f"{field} {json.dumps(value)}", fields(**{field: value}), Refusal.BAD_CONFIG_VALUE
    for value in (7, 1.5, True, [], {}, ["tiny"]):
        for field in ("base_model_name_or_path", "peft_version"):
            yield f"{field} {json.dumps(value)}", fields(**{field: value}), Refusal.BAD_CONFIG_VALUE


def labels() -> Rows:
    for value in (
        *(
            "../../etc/passwd",
            "/etc/passwd",
            "~/.ssh/id_rsa",
            "file:///etc/passwd",
            "https://example.org/x",
            "\\\\host\\x",
            "C:\\x",
        ),
        *(
            "a/b/c",
            "a/..",
            "a//b",
            "/",
            ".",
            "..",
            "",
            " ",
            "a b",
            "a\nb",
            "a\n",
            "a\0",
            "tiny\u202e",
            "tiny\u200b",
            "tіny",
            "é",
        ),
        *("x" * 129, "x" * 60_000, "a;rm -rf", "$(x)", "-x", "_x"),
    ):
        yield f"base {value!r:.40}", fields(base_model_name_or_path=value), Refusal.BAD_CONFIG_VALUE
    for value in ("", " ", "0.21 ", "0.21\n", "../x", "-1", "x" * 65, "٣", "0.21;x"):
        yield f"peft_version {value!r:.40}", fields(peft_version=value), Refusal.BAD_CONFIG_VALUE


def remote_code() -> Rows:
    for field in (
        *(
            "trust_remote_code",
            "auto_map",
            "custom_module",
            "custom_modules",
            "custom_pipelines",
            "architectures",
            "model_type",
        ),
        *(
            "_target_",
            "__class__",
            "__init__",
            "__reduce__",
            "py/object",
            "py/reduce",
            "!!python/object",
            "$ref",
            "import",
        ),
        *(
            "module",
            "class_name",
            "code",
            "exec",
            "eval",
            "hook",
            "plugins",
            "library_name",
            "entry_point",
            "_custom_modules",
        ),
        *(
            "runtime_config",
            "quantization_config",
            "encoder_hidden_size",
            "num_virtual_tokens",
            "init_weights",
            "lora_plus",
        ),
        *(
            "tokenizer_class",
            "chat_template",
            "generation_config",
            "",
            " ",
            "R",
            "r ",
            "ｒ",
            "lora_аlpha",
            "Peft_Type",
            "r\0",
        ),
        *("target_modules\u200b", "é", "e\u0301", "\u202er", "_commit_hash", "use_cache", "k" * 60_000),
    ):
        yield f"{field!r:.40}", fields(**{field: {"AutoModel": "evil.Evil"}}), Refusal.FORBIDDEN_FIELD
    many = json.dumps(CONFIG_FIELDS | {f"{n:x}": 0 for n in range(6000)}, separators=(",", ":")).encode()
    yield "6,000 fields", raw(CONFIG, many), Refusal.FORBIDDEN_FIELD


def targets() -> Rows:
    value: Any
    for value in (
        *(
            "all-linear",
            ".*",
            "q_proj",
            "(a+)+$",
            "",
            None,
            [],
            {},
            1,
            True,
            ["q_proj", "q_proj"],
            [1],
            [None],
            [["q_proj"]],
        ),
        *({"q_proj": 1}, [{}], ["q_proj", 1], [True]),
    ):
        yield f"{json.dumps(value)}", fields(target_modules=value), Refusal.BAD_CONFIG_VALUE
    for name in (
        *(
            "lm_head",
            "embed_tokens",
            "norm",
            "q_norm",
            "",
            " ",
            "Q_PROJ",
            "q_proj ",
            "q_prоj",
            "model.layers.0.self_attn.q_proj",
        ),
        *(
            ".*",
            "*",
            "q_proj|lm_head",
            "../q_proj",
            "os.system",
            "q_proj\0",
            "q_proj\u200b",
            "q＿proj",
            "__class__",
            "n" * 50_000,
        ),
    ):
        yield f"{name!r:.40}", fields(target_modules=["q_proj", name]), Refusal.FORBIDDEN_TARGET
    yield "10,000 targets", fields(target_modules=[f"{n:x}" for n in range(7000)]), Refusal.FORBIDDEN_TARGET
    for name in ("q_proj", "down_proj"):
        yield f"only {name}", fields(target_modules=[name]), Refusal.UNEXPECTED_TENSOR


def manifests() -> Rows:
    def changed(**change: Any) -> Write:
        return raw(MANIFEST, json.dumps(MANIFEST_FIELDS | change, separators=(",", ":"), sort_keys=True).encode())

    task, training = MANIFEST_FIELDS["task"], MANIFEST_FIELDS["training"]
    wrong: list[Json] = [
        *(
            {"task": task | {"chain_id": 1}},
            {"task": task | {"task_id": 2}},
            {"task": task | {"registry": "0x" + "12" * 20}},
        ),
        *(
            {"task": task | {"spec": "23" * 32}},
            {"task": task | {"extra": 1}},
            {"task": None},
            {"task": []},
            {"task": "x"},
        ),
        *(
            {"task": task | {"chain_id": "31337"}},
            {"task": task | {"chain_id": True}},
            {"task": task | {"chain_id": 0}},
        ),
        *(
            {"operator": "0x" + "56" * 20},
            {"operator": OPERATOR.upper()},
            {"operator": OPERATOR[:-1]},
            {"operator": None},
        ),
        *(
            {"operator": OPERATOR + "\n"},
            {"operator": "0x" + "５５" * 20},
            {"base_digest": "45" * 32},
            {"base_digest": ""},
        ),
        *(
            {"base_digest": [BASE_DIGEST]},
            {"version": 2},
            {"version": 0},
            {"version": "1"},
            {"version": True},
            {"version": None},
        ),
        *(
            {"records": -1},
            {"records": 1.0},
            {"records": "10"},
            {"records": 1 << 64},
            {"records": 10**4000},
            {"tokens_seen": -5},
        ),
        *(
            {"training": {}},
            {"training": training | {"rank": 0}},
            {"training": training | {"rank": 10**9}},
            {"training": None},
        ),
        *({"training": training | {"learning_rate": "nan"}}, {"training": training | {"learning_rate": 0.1}}),
        *(
            {"training": training | {"hook": "os.system"}},
            {"privacy": {}},
            {"privacy": {"epsilon": "inf"}},
            {"software": []},
        ),
        *(
            {"software": {str(n): "1" for n in range(33)}},
            {"software": {"torch": 1}},
            {"auto_map": {"a": "b"}},
            {"__class__": "os"},
        ),
    ]
    for change in wrong:
        yield json.dumps(change)[:70], changed(**change), Refusal.WRONG_MANIFEST
    for field in ("version", "task", "operator", "base_digest"):
        rest = {name: value for name, value in MANIFEST_FIELDS.items() if name != field}
        if field != "version":
            yield f"no {field}", raw(MANIFEST, canonical.dumps(rest)), Refusal.WRONG_MANIFEST
    yield "spaces", raw(MANIFEST, json.dumps(MANIFEST_FIELDS, sort_keys=True).encode()), Refusal.WRONG_MANIFEST
    yield (
        "unsorted",
        raw(MANIFEST, json.dumps(dict(reversed(MANIFEST_FIELDS.items())), separators=(",", ":")).encode()),
        Refusal.WRONG_MANIFEST,
    )
    yield "a newline after", raw(MANIFEST, VALID_MANIFEST + b"\n"), Refusal.WRONG_MANIFEST
    yield "an escape", raw(MANIFEST, VALID_MANIFEST.replace(b"adamw", b"\\u0061damw")), Refusal.WRONG_MANIFEST
    yield "empty", raw(MANIFEST, b"{}"), Refusal.WRONG_MANIFEST
