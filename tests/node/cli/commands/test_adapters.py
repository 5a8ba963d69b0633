"""`covey adapter`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from tests.support.cli.command_line import Covey
from tests.support.daemon.context import node_config, open_context, poll_until
from tests.support.lora.peft import write_peft
from tests.support.network import tiny_spec

from covey.client.adapters import node_entry_folder
from covey.daemon.duties import enter
from covey.daemon.duties.outcomes import Waiting
from covey.ipfs import BlockStore, directory_cid


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The network to which commands connect, with a task whose spec is in the node's store."""
    fake = Mock()
    fake.deployment = SimpleNamespace(chain_id=31337)
    fake.contracts.scoring.address = "0x" + "5C" * 20
    fake.contracts.registry.address = "0x" + "11" * 20
    fake.contracts.registry.entry_of.return_value = SimpleNamespace(committed=False)
    with BlockStore(tmp_path / "node" / "blocks") as store:
        digest = store.add_directory({"spec.json": tiny_spec().canonical_bytes()}).word
    fake.task.return_value = SimpleNamespace(params=SimpleNamespace(spec_digest=digest))
    monkeypatch.setattr("covey.cli.access.connect", lambda settings: fake)
    return fake


def test_command_puts_the_entry_where_the_node_looks(covey: Covey, network: Any, tmp_path: Path) -> None:
    source = write_peft(tmp_path / "peft")
    arguments = ("adapter", "import", str(source), "--task", "3", "--operator", "0x" + "aa" * 20)
    place = ("--data-dir", str(tmp_path / "node"))
    done = covey(*arguments, *place, "--json")
    assert done.code == 0, done.err
    folder = node_entry_folder(network, tmp_path / "node", 3)
    assert done.json["folder"] == str(folder)
    assert done.json["changes"] == ["init_lora_weights 'gaussian': left out"]
    config = node_config(tmp_path / "node", roles=["trainer"], training_records="r")
    with open_context(tmp_path, config=config) as context:
        context.identity = replace(context.identity, chain_id=31337, scoring="0x" + "5c" * 20)
        context.specs[3] = tiny_spec()
        task: Any = SimpleNamespace(id=3)
        duty: Any = SimpleNamespace(key="enter/3/0/0", task=3)
        digest = poll_until(lambda: enter._prepare(context, task, duty), lambda step: not isinstance(step, Waiting))
    assert digest == directory_cid(folder).word, "the node commits it instead of training"
    again = covey(*arguments, *place)
    assert (again.code, "exists already" in again.err) == (2, True)


def test_command_names_what_it_lacks(covey: Covey, network: Any, tmp_path: Path) -> None:
    source = write_peft(tmp_path / "peft")
    arguments = ["adapter", "import", str(source), "--task", "3", "--operator", "0x" + "aa" * 20]
    done = covey(*arguments)
    assert (done.code, "--data-dir or --config, or a folder with --out" in done.err) == (2, True)
    done = covey(*arguments, "--out", str(tmp_path / "out"))
    assert (done.code, "could not be fetched: give gateways with --peers" in done.err) == (2, True)
    arguments += ["--data-dir", str(tmp_path / "node")]
    network.contracts.registry.entry_of.return_value = SimpleNamespace(committed=True)
    done = covey(*arguments)
    assert (done.code, "has committed its entry of task 3 already" in done.err) == (2, True)
    (source / "adapter_model.safetensors").unlink()
    done = covey(*arguments, "--out", str(tmp_path / "out"))
    assert (done.code, "has no adapter_model.safetensors" in done.err) == (2, True)
    assert not (tmp_path / "out").exists()
