"""Interprets the assembly of a Solidity file on z3 bit vectors of 256 bits.

Supports the straight-line part of Yul that `PackedScores` uses: declarations, assignments, `if`, and calls of pure
builtins. Loops are not supported; a proof takes the text of a loop's body from `body`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import z3

Word: TypeAlias = z3.BitVecRef
BITS = 256


def word(value: int) -> Word:
    return z3.BitVecVal(value, BITS)


def flag(condition: z3.BoolRef) -> Word:
    return z3.If(condition, word(1), word(0))


BUILTINS: dict[str, Callable[..., Word]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda by, a: a << by,
    "shr": lambda by, a: z3.LShR(a, by),
    "lt": lambda a, b: flag(z3.ULT(a, b)),
    "gt": lambda a, b: flag(z3.UGT(a, b)),
    "eq": lambda a, b: flag(a == b),
    "iszero": lambda a: flag(a == 0),
}


def code_of(file: Path, function: str) -> str:
    """The assembly of a Solidity function, without comments."""
    text = re.sub(r"//[^\n]*", "", file.read_text(encoding="utf-8"))
    start = text.index(f"function {function}(")
    at = text.index("assembly", start)
    return body(text[at:], "{")


def constants_of(file: Path) -> dict[str, Word]:
    """The constants of a file that are number literals."""
    found = re.findall(r"constant (\w+) = (0x[0-9a-f]+|\d+);", file.read_text(encoding="utf-8"))
    return {name: word(int(value, 0)) for name, value in found}


def body(text: str, opening: str) -> str:
    """The text between the brace at the end of `opening` and its closing brace."""
    start = text.index(opening) + len(opening)
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start:place]
    raise ValueError(f"no closing brace after {opening!r}")


class Machine:
    """Runs straight-line assembly; `variables` maps names to values.

    Args:
        builtins: additional or replaced functions, for example reads of memory or calldata.
        assigned: called with the name and value of each assignment; returns the value to continue with, which must be
            equal.
    """

    def __init__(
        self,
        variables: dict[str, Word],
        builtins: dict[str, Callable[..., Word]],
        assigned: Callable[[str, Word], Word] | None = None,
    ) -> None:
        self.variables = variables
        self.builtins = BUILTINS | builtins
        self.assigned = assigned or (lambda _name, value: value)
        self.tokens: list[str] = []
        self.at = 0

    def run(self, code: str) -> None:
        self.tokens = re.findall(r":=|->|0x[0-9a-fA-F]+|\w+|[{}(),]", code)
        self.at = 0
        while self.at < len(self.tokens):
            self._statement()

    def _next(self, expected: str | None = None) -> str:
        token = self.tokens[self.at]
        if expected is not None and token != expected:
            raise ValueError(f"expected {expected}, found {token}")
        self.at += 1
        return str(token)

    def _block(self) -> None:
        self._next("{")
        while self.tokens[self.at] != "}":
            self._statement()
        self._next("}")

    def _statement(self) -> None:
        token = self.tokens[self.at]
        if token == "if":
            self._next()
            taken = self._expression() != 0
            before = dict(self.variables)
            self._block()
            inner = self.variables
            self.variables = {name: z3.If(taken, inner[name], value) for name, value in before.items()}
        elif token == "let":
            self._next()
            self._statement()
        elif self.tokens[self.at + 1] == ":=":
            name = self._next()
            self._next(":=")
            self.variables[name] = self.assigned(name, self._expression())
        else:
            self._expression()

    def _expression(self) -> Word:
        token = self._next()
        if token[0].isdigit():
            return word(int(token, 0))
        if self.at < len(self.tokens) and self.tokens[self.at] == "(":
            arguments = []
            self._next("(")
            while self.tokens[self.at] != ")":
                arguments.append(self._expression())
                if self.tokens[self.at] == ",":
                    self._next()
            self._next(")")
            return self.builtins[token](*arguments)
        return self.variables[token]
