"""Finds and applies mutants of a Solidity file: small mistakes, each a range of the source and its replacement.

Mutants are derived from the compiler's syntax tree. Most are *guarded*: the original and the mistake are both compiled,
and the block's beneficiary, an address that the contracts never read, selects one at run time, so that one compilation
serves many mutants. Mutants of constants, modifiers, pure functions and assembly cannot be guarded; each is compiled
alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

Node = dict[str, Any]

RELATIONAL = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",)}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "^": "&"}
LOGICAL = {"&&": "||", "||": "&&"}
COMPOUND = {"+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "<<=": ">>=", ">>=": "<<=", "*=": "/="}
YUL = {
    "add": "sub", "sub": "add", "mul": "add", "lt": "gt", "gt": "lt", "and": "or", "or": "and", "xor": "and",
    "shl": "shr", "shr": "shl", "mod": "div", "eq": "xor", "mload": "not", "calldataload": "mload",
}  # fmt: skip
BENEFICIARY = 0xC0FFEE0000


@dataclass(frozen=True)
class Mutant:
    """Replaces source[start:end] by `text`. `guard` is "expression", "statement" or "" (compiled alone)."""

    kind: str
    function: str
    line: int
    start: int
    end: int
    original: str
    text: str
    guard: str
    again: int = 0
    """Number of earlier mutants with this text in the function."""

    @property
    def name(self) -> str:
        """A stable name: equal for the same mistake in the same function, wherever the function is in the file."""
        content = f"{self.kind}\0{self.function}\0{self.original}\0{self.text}" + f"\0{self.again}" * bool(self.again)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def describe(self) -> str:
        old, new = (" ".join(text.split()) for text in (self.original, self.text))
        return f"line {self.line}, {self.function}: {self.kind}: `{shorten(old)}` -> `{shorten(new)}`"


def shorten(text: str, most: int = 110) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


class Finder:
    """Walks the syntax tree of one file and collects its mutants."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.found: list[Mutant] = []
        self.function = ""
        self.guardable = False
        self.in_library = False

    def text(self, node: Node) -> str:
        start, length, _ = map(int, node["src"].split(":"))
        return self.source[start : start + length].decode()

    def add(self, kind: str, node: Node, text: str, guard: str, original: Node | None = None) -> None:
        start, length, _ = map(int, (original or node)["src"].split(":"))
        end = start + length
        # The range of a statement excludes its semicolon.
        if guard == "statement" and self.source[end : end + 1] == b";":
            end += 1
        line = self.source[:start].count(b"\n") + 1
        old = self.source[start:end].decode()
        self.found.append(Mutant(kind, self.function, line, start, end, old, text, guard if self.guardable else ""))

    # ------------------------------------------------------------------ walking

    def walk(self, node: Node) -> None:
        kind = node.get("nodeType", "")
        if kind == "ContractDefinition":
            self.in_library = node["contractKind"] == "library"
            if node["contractKind"] == "interface":
                return
        if kind in {"ImportDirective", "PragmaDirective", "ErrorDefinition", "EventDefinition", "UsingForDirective"}:
            return
        if kind in {"FunctionDefinition", "ModifierDefinition"}:
            self.enter(node)
            return
        if kind == "VariableDeclaration" and node.get("stateVariable") and node.get("value"):
            self.function, self.guardable = node["name"], False
        if kind in {"EmitStatement", "RevertStatement"}:
            return  # other tests cover the content of events and errors
        visit = getattr(self, f"visit_{kind}", None)
        if visit is not None:
            visit(node)
        for child in children(node):
            self.walk(child)

    def enter(self, node: Node) -> None:
        self.function = node.get("name") or node.get("kind", "")
        mutability, visibility = node.get("stateMutability"), node.get("visibility")
        public = visibility in {"external", "public"}
        self.guardable = not self.in_library and not (mutability == "pure" and public)
        if node.get("kind") != "constructor":
            for modifier in node.get("modifiers", []):
                if modifier.get("kind") == "modifierInvocation":
                    guardable, self.guardable = self.guardable, False
                    self.add("modifier removed", modifier, "", "")
                    self.guardable = guardable
        if node.get("body"):
            self.walk(node["body"])

    # ------------------------------------------------------------------ kinds of mutants

    def visit_BinaryOperation(self, node: Node) -> None:
        operator, left, right = node["operator"], self.text(node["leftExpression"]), self.text(node["rightExpression"])
        for other in RELATIONAL.get(operator, ()):
            self.add("comparison", node, f"{left} {other} {right}", "expression")
        if operator in ARITHMETIC:
            self.add("arithmetic", node, f"{left} {ARITHMETIC[operator]} {right}", "expression")
        if operator in LOGICAL:
            self.add("logic", node, f"({left}) {LOGICAL[operator]} ({right})", "expression")

    def visit_UnaryOperation(self, node: Node) -> None:
        if node["operator"] == "!":
            self.add("negation", node, self.text(node["subExpression"]), "expression")

    def visit_Conditional(self, node: Node) -> None:
        test, yes, no = (self.text(node[key]) for key in ("condition", "trueExpression", "falseExpression"))
        self.add("branches swapped", node, f"({test}) ? ({no}) : ({yes})", "expression")

    def visit_IfStatement(self, node: Node) -> None:
        body = node["trueBody"]
        reverts = body["nodeType"] == "RevertStatement" or (
            body["nodeType"] == "Block" and [s["nodeType"] for s in body["statements"]] == ["RevertStatement"]
        )
        if reverts and not node.get("falseBody"):
            self.add("check removed", node, "", "statement")
        if node["condition"]["nodeType"] != "BinaryOperation":
            self.add("condition negated", node, f"!({self.text(node['condition'])})", "expression", node["condition"])

    def visit_ExpressionStatement(self, node: Node) -> None:
        inner = node["expression"]
        if inner["nodeType"] == "Assignment":
            self.add("assignment removed", node, "", "statement")
            operator = inner["operator"]
            if operator in COMPOUND:
                left, right = self.text(inner["leftHandSide"]), self.text(inner["rightHandSide"])
                self.add("arithmetic", node, f"{left} {COMPOUND[operator]} {right};", "statement")
        elif inner["nodeType"] == "FunctionCall":
            self.add("call removed", node, "", "statement")
        elif inner["nodeType"] == "UnaryOperation" and inner["operator"] == "delete":
            self.add("assignment removed", node, "", "statement")

    def visit_FunctionCall(self, node: Node) -> None:
        callee, arguments = node["expression"], node["arguments"]
        kind = callee.get("typeDescriptions", {}).get("typeString", "")
        result = node.get("typeDescriptions", {}).get("typeString", "")
        if node.get("kind") != "functionCall" or not kind.startswith("function") or result.startswith("tuple"):
            return
        name = self.text(callee)
        for old, new in (("Math.min", "Math.max"), ("Math.max", "Math.min")):
            if name == old:
                self.add("minimum and maximum", node, self.text(node).replace(old, new, 1), "expression")
                return  # their arguments are interchangeable
        if name.startswith("abi.") or name == "keccak256":
            return
        for i in range(len(arguments) - 1):
            first, second = arguments[i : i + 2]
            types = {argument["typeDescriptions"].get("typeString") for argument in (first, second)}
            if len(types) == 1 and self.text(first) != self.text(second):
                texts = [self.text(argument) for argument in arguments]
                texts[i], texts[i + 1] = texts[i + 1], texts[i]
                self.add("arguments swapped", node, f"{name}({', '.join(texts)})", "expression")

    def visit_Literal(self, node: Node) -> None:
        if node.get("kind") == "number":
            self.add("constant", node, f"({self.text(node)} + 1)", "expression")
        elif node.get("kind") == "bool":
            self.add("constant", node, "false" if node["value"] == "true" else "true", "expression")

    # ------------------------------------------------------------------ assembly

    def visit_InlineAssembly(self, node: Node) -> None:
        guardable, self.guardable = self.guardable, False
        for inner in yul(node["AST"]):
            kind = inner["nodeType"]
            if kind == "YulFunctionCall" and inner["functionName"]["name"] in YUL:
                name = inner["functionName"]["name"]
                self.add("assembly", inner["functionName"], YUL[name], "")
            elif kind == "YulLiteral" and inner.get("kind") == "number":
                self.add("assembly constant", inner, str(int(inner["value"], 0) + 1), "")
            elif kind in {"YulAssignment", "YulExpressionStatement"}:
                self.add("assembly statement removed", inner, "{}", "")
            elif kind == "YulIf":
                condition = inner["condition"]
                self.add("assembly condition negated", condition, f"iszero({self.text(condition)})", "")
        self.guardable = guardable


def children(node: Node) -> Iterator[Node]:
    """Direct child nodes, without assembly."""
    for key, value in node.items():
        if key in {"AST", "documentation", "overrides", "typeName"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, dict) and "nodeType" in child:
                yield child


def yul(node: Node) -> Iterator[Node]:
    """All nodes of an assembly block."""
    yield node
    for value in node.values():
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, dict) and "nodeType" in child:
                yield from yul(child)


def find(tree: Node, source: bytes) -> list[Mutant]:
    """All mutants of a file, by position."""
    finder = Finder(source)
    finder.walk(tree)
    seen: Counter[str] = Counter()
    found = []
    for mutant in sorted(finder.found, key=lambda mutant: (mutant.start, mutant.end, mutant.text)):
        found.append(replace(mutant, again=seen[mutant.name]))
        seen[mutant.name] += 1
    return found


def batches(mutants: list[Mutant], most: int) -> list[list[Mutant]]:
    """Group mutants that can be compiled together: guarded ones with disjoint ranges, at most `most`; others alone."""
    groups: list[list[Mutant]] = []
    alone = [[mutant] for mutant in mutants if not mutant.guard]
    for mutant in mutants:
        if not mutant.guard:
            continue
        for batch in groups:
            if len(batch) < most and all(mutant.end <= other.start or other.end <= mutant.start for other in batch):
                batch.append(mutant)
                break
        else:
            groups.append([mutant])
    return groups + alone


def beneficiary(place: int) -> str:
    """The block beneficiary that enables the mutant at position `place` of its batch."""
    return f"0x{BENEFICIARY + place:040x}"


def apply(source: bytes, batch: list[Mutant]) -> tuple[bytes, list[tuple[int, int]]]:
    """Apply a batch. Returns the new source, and the range of each mutant in it."""
    if len(batch) == 1 and not batch[0].guard:
        (only,) = batch
        mutated = source[: only.start] + only.text.encode() + source[only.end :]
        return mutated, [(only.start, only.start + len(only.text))]
    text, places, at = b"", {}, 0
    for place, mutant in sorted(enumerate(batch), key=lambda pair: pair[1].start):
        switch = f"_mutant({BENEFICIARY + place})"
        if mutant.guard == "expression":
            new = f"({switch} ? ({mutant.text}) : ({mutant.original}))"
        elif mutant.text:
            new = f"if ({switch}) {{ {mutant.text} }} else {{ {mutant.original} }}"
        else:
            new = f"if (!{switch}) {{ {mutant.original} }}"
        text += source[at : mutant.start]
        places[place] = (len(text), len(text) + len(new.encode()))
        text += new.encode()
        at = mutant.end
    text += source[at:]
    switch = "    function _mutant(uint160 k) private view returns (bool) { return block.coinbase == address(k); }\n}"
    head, _, tail = text.rpartition(b"}")
    return head + switch.encode() + tail, [places[place] for place in range(len(batch))]
