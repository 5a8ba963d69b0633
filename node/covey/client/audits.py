"""Audits a whole deployment: its bytecode, every figure of every task, and the evidence behind the scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from covey.audit.bytecode import check_bytecode
from covey.audit.chain import Chain
from covey.audit.evidence import Reader, check_content, check_seeds
from covey.audit.record import AuditError, gather
from covey.audit.replay import replay
from covey.audit.sources import from_checkout, from_deployment
from covey.chain.errors import ChainError

Progress = Callable[[str], None]


@dataclass(slots=True)
class Part:
    """One part of an audit: what was compared, in words, what differs, and what could not be checked and why."""

    name: str
    summary: str = ""
    differences: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """``differs``, ``incomplete`` or ``agrees``."""
        return "differs" if self.differences else "incomplete" if self.unchecked else "agrees"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "part": self.name,
            "verdict": self.verdict,
            "summary": self.summary,
            "differences": self.differences,
            "unchecked": self.unchecked,
        }


def audit_all(
    chain: Chain, deployment: Path, *, sources: Path | None, reader: Reader | None, progress: Progress
) -> list[Part]:
    """Audit the payments and the evidence of all tasks, then the bytecode of all contracts.

    What cannot be checked is listed in its part; it never counts as agreement.

    Args:
        deployment: folder of the deployment's records.
        sources: a checkout; None takes the compiler input in `deployment`.
        reader: reads manifests and score sheets; None leaves the evidence unchecked.
        progress: called with a line before each step.
    """
    figures, evidence = _audit_tasks(chain, reader, progress)
    return [figures, evidence, _audit_bytecode(chain, deployment, sources, progress)]


def _audit_tasks(chain: Chain, reader: Reader | None, progress: Progress) -> tuple[Part, Part]:
    figures, evidence = Part("replay"), Part("evidence")
    progress("reading the events of all tasks")
    try:
        events = chain.events()
        tasks = gather(events)
        audit = replay(events, chain.domain)
    except (AuditError, ChainError) as error:
        figures.unchecked.append(str(error))
        evidence.unchecked.append("the tasks could not be read")
        return figures, evidence
    for task in tasks.values():
        try:
            check_seeds(audit, task, chain.rpc)
        except ChainError as error:
            figures.unchecked.append(f"task {task.id}: the seed's block: {error}")
    figures.summary = f"{audit.checked} figures of {len(tasks)} tasks"
    figures.differences = [str(difference) for difference in audit.differences]
    checked, wrong = audit.checked, len(audit.differences)
    if reader is None:
        evidence.unchecked.append("no source of manifests and score sheets: give --peers or --store")
        return figures, evidence
    progress("reading manifests and score sheets")
    for task in tasks.values():
        check_content(audit, task, chain.domain, reader)
    evidence.summary = f"{audit.fetched} of {audit.documents} documents, {audit.checked - checked} figures"
    evidence.differences = [str(difference) for difference in audit.differences[wrong:]]
    evidence.unchecked += audit.unavailable
    return figures, evidence


def _audit_bytecode(chain: Chain, deployment: Path, sources: Path | None, progress: Progress) -> Part:
    part = Part("bytecode")
    records = chain.deployment.contracts
    try:
        whole = from_deployment(deployment) if sources is None else from_checkout(sources, records.values())
        results = check_bytecode(chain.rpc, chain.deployment, whole, progress=progress)
    except (AuditError, ChainError) as error:
        part.unchecked.append(str(error))
        return part
    matching = sum(not result.differences for result in results)
    part.summary = f"{matching} of {len(results)} contracts match their sources"
    part.differences = [f"{result.name}: {line}" for result in results for line in result.differences]
    part.unchecked = [f"{result.name}: {line}" for result in results for line in result.unavailable]
    return part


def verdict(parts: list[Part]) -> str:
    """The result of a whole audit in one line."""
    if wrong := [line for part in parts for line in part.differences]:
        return f"DIFFERS from the sources or the rules in {len(wrong)} places; the first: {wrong[0]}"
    if open_ := [part.name for part in parts if part.unchecked]:
        return f"INCOMPLETE: what was checked agrees, but not everything could be checked ({', '.join(open_)})"
    return "AGREES: bytecode, every figure and the evidence match the sources and the rules"
