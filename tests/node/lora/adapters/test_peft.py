"""What PEFT's `save_pretrained` writes becomes an adapter that computes the same, or is refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file, save_file

from covey.lora.adapters import loader
from covey.lora.adapters.export import write_adapter
from covey.lora.adapters.loader import AdapterLimits, load_adapter
from covey.lora.adapters.model import AdaptedModel
from covey.lora.adapters.peft import CONVERTED, IGNORED, REFUSED, ImportRefused, read_peft
from covey.lora.bases.load import load_base
from covey.lora.bases.resolve import BaseFolder
from covey.protocol.entry import Manifest, TaskReference

DOCS = Path(__file__).resolve().parents[4] / "docs" / "how-to" / "enter-a-trained-adapter.md"
MANIFEST = Manifest(
    task=TaskReference(chain_id=1, registry="0x" + "11" * 20, task_id=1, spec="22" * 32),
    operator="0x" + "33" * 20,
    base_digest="44" * 32,
)


def saved(tiny: BaseFolder, folder: Path, dtype: torch.dtype = torch.float32, **settings: Any) -> torch.Tensor:
    """Save a random adapter with PEFT, and return its logits on fixed tokens."""
    torch.manual_seed(1)
    config = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], **settings})
    model = get_peft_model(load_base(tiny, "float32").model, config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
        if "lora_" in name:
            parameter.data = parameter.data.to(dtype).float()
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=tokens()).logits
    if dtype != torch.float32:
        model.to(dtype)
    model.save_pretrained(str(folder), save_embedding_layers=False)
    return logits


def tokens() -> torch.Tensor:
    return torch.randint(1, 4096, (2, 12), generator=torch.Generator().manual_seed(0))


def imported(tiny: BaseFolder, folder: Path, out: Path) -> tuple[torch.Tensor, tuple[str, ...]]:
    """The logits of the imported adapter as a validator computes them, and what was changed."""
    found = read_peft(folder, tiny.config)
    write_adapter(
        out,
        found.arrays,
        rank=found.rank,
        alpha=found.alpha,
        targets=found.targets,
        base_name="tiny",
        manifest=MANIFEST,
        dtype=found.dtype,
    )
    adapter = load_adapter(out, tiny.config, AdapterLimits())
    model = AdaptedModel(load_base(tiny, "float32"))
    model.set(adapter)
    with torch.no_grad():
        logits: torch.Tensor = model.base.model(input_ids=tokens()).logits
    return logits, found.changes


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        pytest.param({}, [], id="plain"),
        pytest.param(
            {"target_modules": "all-linear", "init_lora_weights": "gaussian"}, ["init_lora_weights"], id="all"
        ),
        pytest.param({"use_rslora": True}, [], id="rank-stabilised, whole alpha"),
        pytest.param({"use_rslora": True, "r": 3}, ["scaling 4.6188: multiplied into B"], id="rank-stabilised"),
        pytest.param({"lora_alpha": 7.5}, ["scaling 1.875: multiplied"], id="fractional alpha"),
        pytest.param({"lora_alpha": -8}, ["scaling -2: multiplied"], id="negative alpha"),
        pytest.param({"lora_alpha": 400}, ["scaling 100: multiplied"], id="alpha above 64 times the rank"),
        pytest.param({"rank_pattern": {"q_proj": 2}}, ["scaling 2 to 4", "ranks 2 to 4: filled up to 4"], id="ranks"),
        pytest.param({"alpha_pattern": {"layers.1.self_attn.q_proj": 32}}, ["scaling 2 to 8"], id="alphas"),
        pytest.param({"layers_to_transform": [0, 2]}, ["4 layers without an adapter: filled with zeros"], id="layers"),
        pytest.param({"exclude_modules": r".*layers\.3.*"}, ["2 layers without an adapter"], id="excluded"),
        pytest.param({"lora_dropout": 0.5, "task_type": "CAUSAL_LM", "revision": "main"}, [], id="of training"),
    ],
)
def test_imported_adapter_computes_what_peft_computes(
    tiny: BaseFolder, tmp_path: Path, settings: dict[str, Any], changes: list[str]
) -> None:
    expected = saved(tiny, tmp_path / "peft", **({"lora_dropout": 0.0} | settings))
    if settings.get("lora_dropout"):
        model = PeftModel.from_pretrained(load_base(tiny, "float32").model, str(tmp_path / "peft"))
        expected = model(input_ids=tokens()).logits.detach()
    assert (tmp_path / "peft" / "README.md").is_file()
    logits, found = imported(tiny, tmp_path / "peft", tmp_path / "entry")
    assert len(found) == len(changes)
    assert all(text.startswith(change) for text, change in zip(found, changes, strict=True)), found
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "settings", "stored"),
    [
        (torch.bfloat16, {}, "BF16"),
        (torch.float16, {}, "F32"),
        (torch.bfloat16, {"lora_alpha": 7.5}, "F32"),
    ],
)
def test_stored_type_is_kept_where_it_is_exact(
    tiny: BaseFolder, tmp_path: Path, dtype: torch.dtype, settings: dict[str, Any], stored: str
) -> None:
    expected = saved(tiny, tmp_path / "peft", dtype, **settings)
    logits, _ = imported(tiny, tmp_path / "peft", tmp_path / "entry")
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)
    header = (tmp_path / "entry" / "adapter_model.safetensors").read_bytes()[8:4000]
    assert f'"dtype":"{stored}"'.encode() in header


@pytest.fixture(scope="module")
def plain(tiny: BaseFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "peft"
    saved(tiny, folder)
    return folder


@pytest.fixture
def peft(plain: Path, tmp_path: Path) -> Path:
    """A copy of what PEFT writes by default."""
    folder = tmp_path / "peft"
    folder.mkdir()
    for path in plain.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def change(folder: Path, **fields: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


ACTIVE: dict[str, Any] = {
    "bias": "all",
    "use_dora": True,
    "modules_to_save": ["lm_head"],
    "layer_replication": [[0, 2]],
    "trainable_token_indices": [1, 2],
    "use_qalora": True,
    "fan_in_fan_out": True,
    "ensure_weight_tying": True,
    "lora_bias": True,
}


@pytest.mark.parametrize("field", sorted(REFUSED))
def test_field_that_changes_the_computation_is_refused_with_its_reason(
    tiny: BaseFolder, peft: Path, field: str
) -> None:
    change(peft, **{field: ACTIVE.get(field, {"some": "setting"})})
    with pytest.raises(ImportRefused, match=rf"adapter_config\.json: '{field}' is .*: ") as caught:
        read_peft(peft, tiny.config)
    assert REFUSED[field] in str(caught.value)


@pytest.mark.parametrize("field", sorted({*IGNORED, *REFUSED} - {"bias"}))
def test_field_without_a_value_is_accepted(tiny: BaseFolder, peft: Path, field: str) -> None:
    change(peft, **{field: None})
    assert read_peft(peft, tiny.config).rank == 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3': only LoRA"),
        ({"peft_type": None}, "peft_type is None"),
        ({"init_lora_weights": "pissa"}, "also changed the base's weights: save the adapter with path_initial"),
        ({"init_lora_weights": "pissa_niter_16"}, "also changed the base's weights"),
        ({"init_lora_weights": "olora"}, "also changed the base's weights"),
        ({"init_lora_weights": "loftq"}, "also changed the base's weights"),
        ({"lora_alpha": 0}, "lora_alpha is 0: it must be a number other than 0"),
        ({"lora_alpha": None}, "lora_alpha is None"),
        ({"lora_alpha": "8"}, "lora_alpha is '8'"),
        ({"alpha_pattern": {"(": 3}}, "alpha_pattern has '\\(', which is no pattern"),
        ({"use_of_the_future": 1}, "'use_of_the_future' is 1: an unknown field"),
    ],
)
def test_field_that_no_entry_can_express_is_refused(
    tiny: BaseFolder, peft: Path, fields: dict[str, Any], message: str
) -> None:
    change(peft, **fields)
    with pytest.raises(ImportRefused, match=message):
        read_peft(peft, tiny.config)


def test_unknown_field_at_a_neutral_value_is_accepted(tiny: BaseFolder, peft: Path) -> None:
    change(peft, use_of_the_future=False, config_of_the_future=None, list_of_the_future=[], map_of_the_future={})
    assert read_peft(peft, tiny.config).changes == ()


Q = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({f"{Q}.lora_A.weight": None}, "A and B of model.layers.0.self_attn.q_proj do not belong together"),
        ({f"{Q}.lora_B.weight": np.zeros((256, 3), np.float32)}, "do not belong together"),
        ({f"{Q}.lora_B.weight": np.zeros((255, 4), np.float32)}, r"has shape \[255, 4\]: another base's"),
        ({f"{Q}.lora_A.weight": np.full((4, 256), np.nan, np.float32)}, "contains NaN or infinity"),
        ({f"{Q}.lora_A.weight": np.zeros((4, 256), np.float64)}, "not a matrix of float32, float16 or bfloat16"),
        ({f"{Q}.lora_A.weight": np.zeros(4, np.float32)}, "not a matrix of"),
        ({f"{Q}.lora_magnitude_vector": np.zeros(4, np.float32)}, "not a matrix of"),
        ({f"{Q}.lora_C.weight": np.zeros((4, 256), np.float32)}, "is not A or B of a linear layer"),
        ({"base_model.model.lm_head.lora_A.weight": np.zeros((4, 256), np.float32)}, "is not A or B of a linear layer"),
        (
            {"base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": np.zeros((4, 256), np.float32)},
            "is not A or B of a linear layer",
        ),
    ],
)
def test_tensors_of_something_else_are_refused(
    tiny: BaseFolder, peft: Path, tensors: dict[str, np.ndarray[Any, Any] | None], message: str
) -> None:
    weights = load_file(peft / "adapter_model.safetensors")
    for name, array in tensors.items():
        if array is None:
            del weights[name]
        else:
            weights[name] = array
    save_file(weights, peft / "adapter_model.safetensors")
    with pytest.raises(ImportRefused, match=message):
        read_peft(peft, tiny.config)


def test_adapter_of_the_model_without_its_head_is_read(tiny: BaseFolder, peft: Path) -> None:
    expected = read_peft(peft, tiny.config).arrays
    weights = load_file(peft / "adapter_model.safetensors")
    shorter = {name.replace("base_model.model.model.", "base_model.model."): array for name, array in weights.items()}
    save_file(shorter, peft / "adapter_model.safetensors")
    change(peft, auto_mapping={"base_model_class": "Qwen3Model"}, task_type="FEATURE_EXTRACTION")
    found = read_peft(peft, tiny.config).arrays
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "adapter_config.json").unlink(), "has no adapter_config.json: give the folder"),
        (lambda folder: (folder / "adapter_config.json").write_text("["), "bad_json: adapter_config.json"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors: give the"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"PK\x03\x04" * 9), "a zip archive"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b""), "bad_header"),
        (
            lambda folder: (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin"),
            "has no adapter_model.safetensors: save it with safe_serialization=True",
        ),
        (
            lambda folder: (folder / "adapter_model.safetensors").write_bytes(
                (folder / "adapter_model.safetensors").read_bytes()[:-1000]
            ),
            "lies outside the file",
        ),
    ],
)
def test_damaged_folder_is_refused_in_one_line(tiny: BaseFolder, peft: Path, damage: Any, message: str) -> None:
    damage(peft)
    with pytest.raises(ImportRefused, match=message) as caught:
        read_peft(peft, tiny.config)
    assert "\n" not in str(caught.value)


def test_path_that_is_no_folder_is_refused(tiny: BaseFolder, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="is not a folder: give the one"):
        read_peft(tmp_path / "nowhere", tiny.config)


def test_every_field_of_the_loader_and_of_peft_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    known = {*IGNORED, *REFUSED, *CONVERTED}
    assert set(loader._NEUTRAL) | set(loader._LABELS) <= known
    assert set(LoraConfig().to_dict()) <= known
    for field in known:
        assert f"`{field}`" in text, field
    for field, reason in REFUSED.items():
        assert f"| `{field}` | {reason} |" in text, field
