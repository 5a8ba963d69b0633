"""The page in Chromium against anvil with a settled task, with a wallet that signs with a development key."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak
from tests.support.chain.anvil import new_anvil
from tests.support.chain.scenario import Scenario

from covey.chain.contracts import Call, Contracts
from covey.chain.deploy.deploy import DeployConfig, deploy
from covey.chain.units import CVY
from covey.protocol.scores import pack
from covey.web.server import WebServer, page_deployment

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "web" / "tests" / "browser.mjs"
KEY = "0x" + "1b" * 32


def missing() -> str:
    """What the browser tests lack, or an empty text."""
    if shutil.which("chromium") is None and not os.environ.get("COVEY_CHROMIUM"):
        return "Chromium is not installed: apt-get install chromium, or set COVEY_CHROMIUM"
    if not (ROOT / "web" / "node_modules" / "playwright-core").is_dir():
        return "playwright-core is not installed: make .toolchain/web.stamp"
    return ""


@contextmanager
def served(folder: Path) -> Iterator[list[str]]:
    """Arguments of the runner: the page's address, the chain's, and the facts that the tests look for."""
    with new_anvil(folder) as chain:
        deployer = chain.account(0xD0)
        deployment = deploy(chain.rpc, deployer, DeployConfig.devnet())
        contracts = Contracts(chain.rpc, deployment)
        scenario = Scenario(chain, contracts, deployer, seed=11, entries=6, validators=5)
        scenario.post()
        scenario.enter()
        scenario.draw()
        scenario.score()
        settlement = scenario.finish()
        for trainer in scenario.trainers:
            lane = contracts.registry.entry_of(scenario.task, trainer.address).lane
            if settlement.weights[lane]:
                word, proof = scenario.entry_proof(settlement, lane)
                scenario.send(deployer, contracts.rewards.claim_entry(scenario.task, lane, word, proof))
        for operator in scenario.rows:
            scenario.send(deployer, contracts.rewards.claim_scoring(scenario.task, operator))
        chain.jump(chain.rpc.block().timestamp + 3_600)
        for operator in scenario.rows:
            scenario.send(deployer, _accrue(contracts.staking.address, operator))
        facts = _facts(chain, contracts, scenario)
        scenario.send(deployer, contracts.token.transfer(facts.pop("holder"), 1_000 * CVY))
        (folder / "facts.json").write_text(json.dumps(facts))
        server = WebServer("127.0.0.1:0", [page_deployment(deployment.chain_id, deployment.contracts)], chain.url)
        yield [server.url, chain.url, str(folder / "facts.json")]
        server.close()


def _accrue(staking: str, operator: str) -> Call:
    """Move what has dripped into the pool; anyone can."""
    return Call(staking, keccak(b"accrue(address)")[:4] + bytes(12) + bytes.fromhex(operator[2:]), "accrue")


def _facts(chain: Any, contracts: Contracts, scenario: Scenario) -> dict[str, Any]:
    holder = chain.account(int(KEY, 16)).address
    validator, row = next(iter(scenario.rows.items()))
    other = [score if lane else (score + 2_000) % 0x7FFF for lane, score in enumerate(row)]
    operators = [signer.address for signer in (*scenario.scorers, *scenario.trainers)]
    return {
        "key": KEY,
        "holder": holder,
        "chainId": chain.rpc.chain_id,
        "operators": [validator, *(one for one in operators if one != validator)],
        "task": scenario.task,
        "word": f"0x{pack(row)[0]:064x}",
        "otherWord": f"0x{pack(other)[0]:064x}",
        "staking": contracts.staking.address,
        "governor": scenario.deployer.address,
        "token": contracts.token.address,
        "tokenCode": "0x" + chain.rpc.code(contracts.token.address).hex(),
        "unbonding": contracts.staking.unbonding_period(),
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """See `served`; skipped, or failed if it is required, where Chromium or its driver is missing."""
    if reason := missing():
        if os.environ.get("COVEY_REQUIRE_CHROMIUM"):
            pytest.fail(reason)
        pytest.skip(reason)
    with served(tmp_path_factory.mktemp("page")) as arguments:
        yield arguments


@pytest.mark.slow
def test_every_flow_of_the_page_works_in_a_browser(page: list[str]) -> None:
    result = subprocess.run(
        ["node", str(RUNNER), *page], cwd=ROOT / "web", capture_output=True, text=True, timeout=900, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 failed" in result.stdout
