"""How much memory does an idle daemon hold, and how long until it looks at the chain? A validator on a fresh network.

Start is from the process's creation to the first healthy answer of /health, the median of several starts; on a machine
with other work to do, the processor seconds beside it say more. The keystore has the standard cost of opening (a
quarter of a second and 256 MiB, given back). Memory is what is resident after some time at rest.

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
    """A registered validator's settings file, and where its health is served."""
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
    """A daemon and the seconds until its health was green."""
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
    """What a process has used of the processors so far, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> tuple[float, float]:
    """(resident, proportional) memory of a process, MB."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, _, rest = line.partition(":")
        fields[name] = int(rest.split()[0]) * 1024 / 1e6
    return fields["Rss"], fields["Pss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, help="starts to take the median of, after a warm one")
    parser.add_argument("--rest", type=float, default=10.0, help="seconds at rest before memory is read")
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
        ("processor of a start", f"{statistics.median(processor):.2f} s", ""),
        ("resident at rest", f"{resident:.1f} MB", "< 120 MB"),
        ("proportional at rest", f"{proportional:.1f} MB", ""),
        ("processor at rest", f"{busy:.1f} %", "one look a second"),
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
