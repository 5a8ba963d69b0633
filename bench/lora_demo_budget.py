"""Measures time and quality of the demo's machine learning: training, scoring and true evaluation.

Four hospitals train and a fifth trainer does not. Three validators score the five entries on their own records; the
common set gives the true improvement. All jobs go through one fork server, two at a time with one thread each, as in
`covey demo`. Prints a table and, as the last line, one JSON object.

    python bench/lora_demo_budget.py --seeds 3
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from covey.devnet import icd10
from covey.lora.bases.resolve import resolve
from covey.lora.bases.shapes import TARGET_MODULES

ENTRIES = [f"hospital {index}" for index in range(4)] + ["random"]
BASE = {"name": "tiny", "revision": "1", "family": "qwen3", "upcast": "none"}
TASK = {"chain_id": 31337, "registry": "0x" + "11" * 20, "task_id": 1, "spec": "22" * 32}


def task_spec(records: int, length: int) -> dict[str, Any]:
    """The demo's task spec."""
    share = 10_000 // len(icd10.STRATA)
    each = records // len(icd10.STRATA)
    return {
        "version": 1,
        "base": {
            "name": "tiny",
            "revision": "1",
            "digest": resolve("tiny").digest,
            "family": "qwen3",
            "upcast": "none",
        },
        "adapter": {"target_modules": sorted(TARGET_MODULES), "max_rank": 8, "max_bytes": 1 << 20},
        "domain": "ICD-10-CM code titles",
        "strata": [{"name": n, "weight": share, "min_records": each, "min_tokens": 1000} for n in icd10.STRATA],
        "evaluation": {
            "source": "local",
            "sequence_length": length,
            "min_records": records,
            "max_records": records,
        },
        "scoring": {"h": 150, "tau": 400},
    }


def ask(server: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Run one job in a forked worker."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(server))
        client.sendall(json.dumps({"job": job}).encode() + b"\n")
        for line in client.makefile("r"):
            answer = json.loads(line)
            if answer["type"] == "result":
                return dict(answer["result"])
            if answer["type"] == "error":
                sys.exit(f"{job['kind']}: {answer['message']}")
    sys.exit(f"{job['kind']}: the worker died")


def run_seed(server: Path, folder: Path, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The demo's jobs for one seed; wall times in seconds."""
    spec = task_spec(options.records, options.length)
    began = time.monotonic()
    split = icd10.write_split(folder / "records", seed)
    split_s = time.monotonic() - began
    common = {"spec": spec, "threads": 1}
    training = {"epochs": options.epochs, "learning_rate": options.rate}
    jobs = [
        common
        | {"kind": "train", "records": str(split.hospitals[index % 4]), "output": str(folder / name), "task": TASK}
        | {"operator": f"0x{index:040x}", "seed": seed * 10 + index, "training": training}
        | ({"attack": "random_small"} if name == "random" else {})
        for index, name in enumerate(ENTRIES)
    ]
    with ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        trained = list(pool.map(lambda job: ask(server, job), jobs))
        train_s = time.monotonic() - began
        lanes = [{"lane": lane, "folder": str(folder / name)} for lane, name in enumerate(ENTRIES)]
        began = time.monotonic()
        score = {"kind": "score", "adapters": lanes, "task": TASK}
        rows = list(
            pool.map(
                lambda pair: ask(server, common | score | {"records": str(pair[1]), "seed": f"{seed}/{pair[0]}"}),
                enumerate(split.validators),
            )
        )
        score_s = time.monotonic() - began
        began = time.monotonic()
        named = [{"name": name, "folder": str(folder / name)} for name in ENTRIES]
        truth = ask(
            server,
            common
            | {"kind": "evaluate", "records": str(split.common), "adapters": named}
            | {"bootstrap_records": options.records},
        )
        evaluate_s = time.monotonic() - began
    table = [[row["entries"][lane]["score"] for row in rows] for lane in range(len(ENTRIES))]
    medians = [int(statistics.median_low(row)) for row in table]
    true = [truth["improvement"][name] for name in ENTRIES]
    return {
        "split_s": split_s,
        "train_s": train_s,
        "score_s": score_s,
        "evaluate_s": evaluate_s,
        "losses": [[result["losses"][0], result["losses"][-1]] for result in trained if result["losses"]],
        "steps": [len(result["losses"]) for result in trained],
        "rows": table,
        "medians": medians,
        "true": true,
        "rho": float(spearmanr(medians, true).statistic),
        "matrix": truth["strata"],
        "base_loss": truth["base_loss"],
        "bootstrap": truth["bootstrap"],
    }


def show(result: dict[str, Any]) -> None:
    """Print the matrix of entries and strata, the scores and the times of one seed."""
    print(f"{'entry':12}" + "".join(f"{name[:12]:>14}" for name in icd10.STRATA) + f"{'true':>9}{'median':>9}  scores")
    for lane, name in enumerate(ENTRIES):
        cells = "".join(f"{result['matrix'][name][stratum]:14.1%}" for stratum in icd10.STRATA)
        print(f"{name:12}{cells}{result['true'][lane]:9.2%}{result['medians'][lane]:9}  {result['rows'][lane]}")
    times = {name: round(result[name], 1) for name in ("split_s", "train_s", "score_s", "evaluate_s")}
    print(f"rho {result['rho']:.2f}  {times}  steps {result['steps']}  {result['bootstrap']}\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--epochs", default="1", help="passes over a hospital's records")
    parser.add_argument("--rate", default="0.006", help="peak learning rate")
    parser.add_argument("--records", type=int, default=600, help="held-out records a validator scores")
    parser.add_argument("--length", type=int, default=64, help="tokens of a record")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.monotonic()
        command = [sys.executable, "-m", "covey.lora.jobs.worker", "--listen", str(folder / "worker.sock")]
        process = subprocess.Popen([*command, "--preload", "tiny"], stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            if "listening" not in process.stderr.readline():
                sys.exit("the worker did not start")
            start_s = time.monotonic() - began
            wanted = range(options.first_seed, options.first_seed + options.seeds)
            seeds = [run_seed(folder / "worker.sock", folder / str(seed), seed, options) for seed in wanted]
        finally:
            process.terminate()
            process.wait()
    for result in seeds:
        show(result)
    phases = ("split_s", "train_s", "score_s", "evaluate_s")
    totals = [start_s + sum(result[phase] for phase in phases) for result in seeds]
    own = [
        result["matrix"][ENTRIES[index]][stratum]
        for result in seeds
        for index, stratum in enumerate(icd10.HOSPITAL_STRATA)
    ]
    print(
        json.dumps(
            {
                "total_s": round(statistics.median(totals), 2),
                "start_s": round(start_s, 2),
                **{phase: round(statistics.median(result[phase] for result in seeds), 2) for phase in phases},
                "own_gain_min": round(min(own), 4),
                "own_gain_mean": round(statistics.mean(own), 4),
                "rho_min": round(min(result["rho"] for result in seeds), 3),
                "rho_mean": round(statistics.mean(result["rho"] for result in seeds), 3),
                "spread": round(statistics.mean(result["bootstrap"]["spread"] for result in seeds), 1),
                "h": round(statistics.mean(result["bootstrap"]["h"] for result in seeds)),
                "tau": round(statistics.mean(result["bootstrap"]["tau"] for result in seeds)),
                "seeds": options.seeds,
            }
        )
    )


if __name__ == "__main__":
    main()
