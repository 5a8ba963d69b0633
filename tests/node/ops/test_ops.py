"""The operators' files fit the node: alert rules, dashboard, systemd unit, container file.

promtool checks rules and scrape settings, systemd-analyze the unit, hadolint the container file, and Grafana's own
dashboard model (grafana-foundation-sdk) the dashboard.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.prometheus import find

from covey import ops
from covey.chain.rpc.endpoint_health import EndpointReport
from covey.chain.tx.store import TxStatus
from covey.cli.settings import Settings
from covey.cli.setup.init import set_up
from covey.config.node import NodeConfig
from covey.daemon.monitoring.metrics import AcceptedTransaction, DueDuty, Metrics, RunningJob, Snapshot
from covey.daemon.state.ledger import KINDS

FOLDER = ops.folder()
GUIDE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "run-as-a-service.md"
ALERT_TESTS = Path(__file__).with_name("alerts_test.yml")
FULL = Snapshot(
    operator="0xaa",
    head_block=9,
    head_time=1_700_000_000,
    settled_block=8,
    running_tasks=2,
    balance=10**17,
    seats={4: 3},
    due=(DueDuty("score/4/0/0", 1_700_000_500, "train 3/9"), DueDuty("score/4/1/0", 1_700_000_100, "")),
    running=(RunningJob("score/4/0/0", "score", 3, 12, 1.5, 1),),
    queued_jobs=1,
    transactions={status.value: 1 for status in TxStatus},
    last_accepted_block=7,
    last_accepted=AcceptedTransaction("enrol/4/0/0", "enrol", "0x", 7, True),
    missed=("score/3/0/0",),
    earnings=dict.fromkeys(KINDS, 10**19),
    credits=5,
    stored_bytes=1,
    store_quota_bytes=2,
    data_bytes=3,
    endpoints=(EndpointReport("http://x", True, 1, 9, 0.5, 0, 0.01, 7, 0, 0, 0.0, ""),),
    problems=(),
)


def exported() -> dict[str, dict[str, set[str]]]:
    """Series that a node exports: values by name and label."""
    metrics = Metrics()
    metrics.set_limits(10**16, 1 << 30)
    metrics.measure(FULL)
    for outcome in ("delivered", "failed", "dropped"):
        metrics.notifications.labels(outcome).inc()
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def dashboard() -> dict[str, Any]:
    return dict(json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8")))


def queries() -> list[tuple[str, str]]:
    """(panel or alert, PromQL) of the dashboard and the alert rules."""
    found = [(panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel.get("targets", [])]
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
    return found + [(rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"]]


SERIES = re.compile(r"\b((?:covey|process)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|=)\s*"([^"]*)"')
SET_BY_PROMETHEUS = {"job", "instance"}


@pytest.mark.parametrize(("where", "query"), queries(), ids=[where for where, _ in queries()])
def test_every_query_uses_exported_series(where: str, query: str) -> None:
    known = exported()
    used = SERIES.findall(query)
    assert used or "up{" in query, f"{where} uses no series of the node"
    for name, matchers in used:
        assert name in known, f"{where}: no series {name}"
        for label, _, value in MATCHER.findall(matchers):
            if label in SET_BY_PROMETHEUS:
                continue
            assert label in known[name], f"{where}: {name} has no label {label}"
            for alternative in value.split("|"):
                assert alternative in known[name][label], f"{where}: {name} has no {label} {alternative}"
    for label in re.findall(r"\{\{(\w+)\}\}", query):
        assert label in SET_BY_PROMETHEUS


def test_alerts_have_names_of_their_own() -> None:
    names = re.findall(r"- alert: (\w+)", (FOLDER / "alerts.yml").read_text(encoding="utf-8"))
    assert len(names) == len(set(names)) > 10


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    shown = {name for _, query in queries() for name, _ in SERIES.findall(query)}
    ours = {name for name in exported() if name.startswith("covey_") and not name.endswith("_created")}
    assert ours - shown == set()


def test_legends_use_labels_of_their_series() -> None:
    known = exported()
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            names = {name for name, _ in SERIES.findall(target["expr"])}
            labels = SET_BY_PROMETHEUS.union(*(known[name] for name in names))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, panel["title"]


def test_earlier_of_two_deadlines_with_the_same_labels_is_exported() -> None:
    metrics = Metrics()
    metrics.measure(FULL)
    value = metrics.registry.get_sample_value
    assert value("covey_duty_deadline_timestamp_seconds", {"duty": "score", "task": "4"}) == 1_700_000_100
    assert value("covey_job_progress_ratio", {"duty": "score", "task": "4"}) == 0.25
    metrics.measure(Snapshot(problems=()))
    assert value("covey_duty_deadline_timestamp_seconds", {"duty": "score", "task": "4"}) is None


class TestDashboard:
    def test_grafanas_model_reads_and_writes_it_unchanged(self) -> None:
        """Fields that the model does not know would be lost."""
        plugins.register_default_plugins()
        model = Dashboard.from_json(dashboard())
        lost = list(differences(dashboard(), json.loads(JSONEncoder().encode(model))))
        assert lost == []
        assert list(wrongly_typed(model)) == []

    def test_misspelt_field_is_detected(self) -> None:
        plugins.register_default_plugins()
        board = dashboard()
        board["panels"][1]["fieldConfig"]["defaults"]["unitt"] = "s"
        board["panels"][1]["options"]["colourMode"] = "background"
        board["panels"][1]["gridPos"]["w"] = "wide"
        model = Dashboard.from_json(board)
        lost = list(differences(board, json.loads(JSONEncoder().encode(model))))
        assert lost == ["/panels/1/fieldConfig/defaults/unitt", "/panels/1/options/colourMode"]
        assert list(wrongly_typed(model)) == ["GridPos.w is 'wide'"]

    def test_panels_have_distinct_ids_and_do_not_overlap(self) -> None:
        panels = dashboard()["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, panel["title"]
            assert at["x"] + at["w"] <= 24
            taken |= cells


def differences(ours: Any, theirs: Any, path: str = "") -> typing.Iterator[str]:
    """Paths at which `theirs` lacks content of `ours`; defaults that the model adds do not count."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from differences(value, theirs[key], f"{path}/{key}")
            else:
                yield f"{path}/{key}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (left, right) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(left, right, f"{path}/{number}")
    elif ours != theirs:
        yield path


def wrongly_typed(model: Any) -> typing.Iterator[str]:
    """Fields of the model, at any depth, whose plain value has none of the annotated types."""
    if isinstance(model, list):
        for item in model:
            yield from wrongly_typed(item)
    elif type(model).__module__.startswith("grafana_foundation_sdk"):
        hints = typing.get_type_hints(type(model))
        for name, value in getattr(model, "__dict__", {}).items():
            plain = plain_types(hints.get(name))
            if plain and type(value) in (str, int, float, bool) and type(value) not in plain:
                yield f"{type(model).__name__}.{name} is {value!r}"
            yield from wrongly_typed(value)


def plain_types(hint: Any) -> set[type]:
    """The types of a hint if all of them are plain, otherwise an empty set."""
    parts = typing.get_args(hint) if typing.get_origin(hint) is not None else (hint,)
    kinds = {part for part in parts if part is not type(None)}
    if not kinds or not kinds <= {str, int, float, bool}:
        return set()
    return kinds | ({int} if float in kinds else set())


class TestRules:
    def promtool(self, *arguments: str, stdin: bytes = b"") -> None:
        ran = subprocess.run([find("promtool"), *arguments], input=stdin, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stdout.decode() + ran.stderr.decode()

    def test_promtool_accepts_rules_and_settings(self) -> None:
        self.promtool("check", "rules", str(FOLDER / "alerts.yml"))
        self.promtool("check", "config", str(FOLDER / "prometheus.yml"))

    def test_each_alert_fires_in_its_condition(self) -> None:
        self.promtool("test", "rules", str(ALERT_TESTS))

    def test_each_alert_is_tested(self) -> None:
        rules = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
        alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
        tests = yaml.safe_load(ALERT_TESTS.read_text(encoding="utf-8"))["tests"]
        fired = {case["alertname"] for test in tests for case in test.get("alert_rule_test", []) if case["exp_alerts"]}
        assert fired == alerts

    def test_rule_that_never_fires_fails_its_test(self, tmp_path: Path) -> None:
        rules = (FOLDER / "alerts.yml").read_text(encoding="utf-8").replace("covey_healthy == 0", "covey_healthy == 7")
        (tmp_path / "alerts.yml").write_text(rules, encoding="utf-8")
        tests = ALERT_TESTS.read_text(encoding="utf-8").replace("../../../node/covey/ops/", "")
        (tmp_path / "tests.yml").write_text(tests, encoding="utf-8")
        test = [find("promtool"), "test", "rules", str(tmp_path / "tests.yml")]
        ran = subprocess.run(test, capture_output=True, check=False)
        assert ran.returncode != 0
        assert "CoveyNotEarning" in (ran.stdout + ran.stderr).decode()

    def test_names_and_help_of_metrics_follow_the_conventions(self) -> None:
        metrics = Metrics()
        metrics.measure(FULL)
        self.promtool("check", "metrics", stdin=generate_latest(metrics.registry))


def init_settings(folder: Path) -> Settings:
    """Settings for `covey init`, with a password file in `folder`."""
    password = folder / "signer.password"
    password.write_text("correct horse battery staple", encoding="utf-8")
    return Settings(
        password_file=password,
        rpc_urls=("http://127.0.0.1:8545",),
        deployment=folder / "31337",
        heldout_records=folder / "heldout.jsonl",
    )


class TestUnit:
    @pytest.fixture
    def unit(self, tmp_path: Path) -> Path:
        """The unit, with an executable that exists here."""
        if shutil.which("systemd-analyze") is None:
            pytest.skip("systemd-analyze is not installed")
        text = (FOLDER / "covey.service").read_text(encoding="utf-8")
        target = tmp_path / "covey.service"
        target.write_text(text.replace("/opt/covey/bin/covey", sys.executable), encoding="utf-8")
        return target

    def test_systemd_accepts_it(self, unit: Path) -> None:
        ran = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")

    def test_it_is_hardened(self, unit: Path) -> None:
        """systemd's own exposure level, 0.0 (none) to 10.0."""
        check = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(unit)]
        ran = subprocess.run(check, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-300:] + ran.stderr

    def test_its_variables_are_settings_of_the_node(self) -> None:
        text = (FOLDER / "covey.service").read_text(encoding="utf-8")
        known = {f"COVEY_{name}".upper() for name in NodeConfig.model_fields}
        assert set(re.findall(r"^Environment=(COVEY_\w+)=", text, re.MULTILINE)) <= known

    def test_its_variables_override_the_settings_of_covey_init(self, tmp_path: Path) -> None:
        """The service can read neither a password file in a home nor a data folder beside the settings."""
        text = (FOLDER / "covey.service").read_text(encoding="utf-8")
        specifiers = {"%S": "/var/lib", "%d": "/run/credentials/covey.service"}
        environ = {}
        for name, value in re.findall(r"^Environment=(COVEY_\w+)=(.*)$", text, re.MULTILINE):
            environ[name] = re.sub("%[Sd]", lambda found: specifiers[found[0]], value)
        settings = set_up(tmp_path / "node", init_settings(tmp_path), None).settings
        assert "password_file" in settings.read_text(encoding="utf-8")
        config = NodeConfig.load(file=settings, environ=environ)
        credentials = dict(re.findall(r"^LoadCredential=([\w-]+):(.*)$", text, re.MULTILINE))
        for path in (config.keystore, config.password_file):
            assert path is not None and str(path.parent) == specifiers["%d"]
            assert path.name in credentials
        [state] = re.findall(r"^StateDirectory=(.*)$", text, re.MULTILINE)
        assert config.data_dir == Path("/var/lib", state)

    def test_guide_creates_its_user_and_files(self) -> None:
        text = (FOLDER / "covey.service").read_text(encoding="utf-8")
        commands = re.findall(r"^sudo .*$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
        [user] = re.findall(r"^User=(.*)$", text, re.MULTILINE)
        assert any(re.search(rf"useradd .* {user}$", command) for command in commands)
        for source in re.findall(r"^LoadCredential=[\w-]+:(.*)$", text, re.MULTILINE):
            assert any("-m 0600" in command and command.endswith(f" {source}") for command in commands), source


class TestContainer:
    def test_hadolint_accepts_it(self) -> None:
        hadolint = Path(sys.executable).with_name("hadolint")
        ran = subprocess.run(
            [str(hadolint), str(FOLDER / "Containerfile")], capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stdout) == (0, "")

    def test_it_runs_unprivileged_with_a_health_check(self) -> None:
        text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
        [user] = re.findall(r"^USER (\d+):\d+$", text, re.MULTILINE)
        assert int(user) > 0
        assert text.count("\nHEALTHCHECK ") == 1
        assert "127.0.0.1:9464/health" in text

    def test_its_variables_match_health_check_ports_and_volume(self) -> None:
        text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
        environ = dict(re.findall(r"^    (COVEY_\w+)=(\S+)", text, re.MULTILINE))
        assert set(environ) <= {f"COVEY_{name}".upper() for name in NodeConfig.model_fields}
        listens = {environ["COVEY_HEALTH_LISTEN"], environ["COVEY_GATEWAY_LISTEN"]}
        [exposed] = re.findall(r"^EXPOSE (.*)$", text, re.MULTILINE)
        assert listens == {f"0.0.0.0:{port}" for port in exposed.split()}, "a server on 127.0.0.1 cannot be published"
        assert environ["COVEY_HEALTH_LISTEN"].split(":")[1] in re.findall(r"127\.0\.0\.1:(\d+)/health", text)
        assert f'VOLUME ["{environ["COVEY_DATA_DIR"]}"]' in text

    def test_its_podman_command_keeps_the_health_check(self) -> None:
        """OCI images have no health check: podman drops it, with a warning."""
        text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
        assert re.findall(r"^# +podman build .*$", text, re.MULTILINE) == [
            "#   podman build --format docker -t covey ."
        ]


def test_copy_never_overwrites_a_file(tmp_path: Path) -> None:
    written = ops.copy(tmp_path / "ops")
    assert {path.name for path in written} == set(ops.FILES)
    assert all(path.read_bytes() == (FOLDER / path.name).read_bytes() for path in written)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "alerts.yml").write_text("other", encoding="utf-8")
    with pytest.raises(FileExistsError, match=r"alerts\.yml"):
        ops.copy(tmp_path / "two")
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["alerts.yml"]
