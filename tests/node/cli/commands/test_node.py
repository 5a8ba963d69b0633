"""`covey run` and `covey ops`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.cli.command_line import Covey

NODE = "--role validator --keystore k --rpc-urls http://a --deployment d --data-dir data --heldout-records h"


@pytest.mark.parametrize(("code", "line"), [(0, ""), (2, "covey: the node stopped with an error; see its log above\n")])
def test_run_exits_with_the_daemons_code(covey: Covey, monkeypatch: pytest.MonkeyPatch, code: int, line: str) -> None:
    monkeypatch.setattr("covey.daemon.run.run", lambda config: code)
    done = covey("run", *NODE.split())
    assert (done.code, done.err) == (code, line)


def test_json_requires_a_dry_run(covey: Covey) -> None:
    refused = covey("run", "--json", *NODE.split())
    assert (refused.code, "--json requires --dry-run" in refused.err) == (2, True)


def test_dry_run_reports_settings_that_cannot_start(covey: Covey) -> None:
    refused = covey("run", "--dry-run", *NODE.split())
    assert refused.code in (1, 2)
    assert refused.err.count("\n") == 1


def test_ops_writes_files_and_overwrites_none(covey: Covey) -> None:
    written = covey("ops", "files")
    assert written.code == 0
    assert all(Path(line).is_file() for line in written.out.splitlines())
    again = covey("ops", "files")
    assert (again.code, "never overwritten" in again.err) == (2, True)
