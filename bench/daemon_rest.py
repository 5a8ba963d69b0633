"""Measures start-up time and idle memory of a daemon: a validator on a fresh network.

Start-up lasts from the creation of the process to the first healthy response of /health; the median of several starts
is shown. On a busy machine, the CPU seconds are more reliable. The keystore has the standard decryption cost (a quarter
of a second and 256 MiB, freed afterwards). Memory is the resident size after some idle time.

    python bench/daemon_rest.py [--starts 5] [--rest 10]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "node"))

from covey.chain.signing.keystore import create_keystore  # noqa: E402
from covey.devnet.anvil import free_port  # noqa: E402
from covey.devnet.local import LocalNetwork  # noqa: E402

CVY = 10**18
RUN = (
    "import sys; from pathlib import Path; from covey.config.node import NodeConfig\n"
    "from covey.daemon.run import run\n"
    "sys.exit(run(NodeConfig.load(file=Path(sys.argv[1]), environ={})))"
)


def settings(network: LocalNetwork, folder: Path) -> tuple[Path, str]:
    """Register a validator. Returns its settings file and the URL of its health server."""
    folder.mkdir()
    owner, signer = network.account("owner"), network.account("signer")
    network.fund({owner.address: 1_000 * CVY})
    network.register(owner, signer, 1_000 * CVY)
    keystore = folder / "keystore.json"
    create_keystore(keystore, "password", key=signer.signer.key)
    (folder / "password").write_text("password\n", encoding="utf-8")
    (folder / "records.jsonl").write_text('{"text": "a record", "stratum": "all"}\n', encoding="utf-8")
    health = f"127.0.0.1:{free_port()}"
    fields = {
        "roles": ["validator"],
        "keystore": "keystore.json",
        "password_file": "password",
        "rpc_urls": [network.anvil.url],
        "deployment": str(network.deployment_folder),
        "data_dir": "data",
        "heldout_records": "records.jsonl",
        "gateway_listen": f"127.0.0.1:{free_port()}",
        "health_listen": health,
        "confirmations": 0,
        "poll_interval_seconds": 1.0,
    }
    file = folder / "covey.toml"
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items()), encoding="utf-8")
    return file, f"http://{health}/health"


def start(file: Path, health: str, log: Path) -> tuple[subprocess.Popen[bytes], float]:
    """Start a daemon. Returns its process and the seconds until it was healthy."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "node"), "PYTHONDONTWRITEBYTECODE": ""}
    began = time.perf_counter()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(file)], stdout=output, stderr=output, env=environment
        )
    while time.perf_counter() - began < 60:
        try:
            with urllib.request.urlopen(health, timeout=1):
                return process, time.perf_counter() - began
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.01)
    process.kill()
    sys.exit(f"the daemon did not become healthy:\n{log.read_text(encoding='utf-8')}")


def processor_seconds(pid: int) -> float:
    """CPU time of a process and its threads so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> tuple[float, float]:
    """Resident and proportional memory of a process, MB."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, _, rest = line.partition(":")
        fields[name] = int(rest.split()[0]) * 1024 / 1e6
    return fields["Rss"], fields["Pss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, help="number of starts, after a warm-up")
    parser.add_argument("--rest", type=float, default=10.0, help="idle seconds before memory is read")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, LocalNetwork(Path(temporary) / "net") as network:
        file, health = settings(network, Path(temporary) / "node")
        seconds, processor = [], []
        for number in range(options.starts + 1):
            process, taken = start(file, health, Path(temporary) / "log")
            if number:  # the first one writes bytecode
                seconds.append(taken)
                processor.append(processor_seconds(process.pid))
            if number < options.starts:
                process.terminate()
                process.wait(20)
        before = processor_seconds(process.pid)
        time.sleep(options.rest)
        busy = 100 * (processor_seconds(process.pid) - before) / options.rest
        resident, proportional = memory(process.pid)
        process.terminate()
        process.wait(20)
    rows = [
        ("start, median", f"{statistics.median(seconds):.2f} s", "< 2 s"),
        ("start, slowest", f"{max(seconds):.2f} s", ""),
        ("CPU time of a start", f"{statistics.median(processor):.2f} s", ""),
        ("resident, idle", f"{resident:.1f} MB", "< 120 MB"),
        ("proportional, idle", f"{proportional:.1f} MB", ""),
        ("CPU, idle", f"{busy:.1f} %", "one cycle per second"),
    ]
    for name, value, goal in rows:
        print(f"{name:<22}{value:>12}   {goal}")
    print(
        json.dumps(
            {
                "daemon_rss_mb": round(resident, 1),
                "daemon_pss_mb": round(proportional, 1),
                "daemon_start_s": round(statistics.median(seconds), 2),
                "daemon_start_cpu_s": round(statistics.median(processor), 2),
                "daemon_start_max_s": round(max(seconds), 2),
                "daemon_rest_cpu_percent": round(busy, 1),
                "starts": options.starts,
            }
        )
    )


if __name__ == "__main__":
    main()
