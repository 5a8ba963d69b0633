"""Proves that the packed arithmetic of contracts/libraries/PackedScores.sol equals the plain rule for all words.

z3 shows that no sixteen lanes exist for which the assembly, read from the source, differs from the plain rule in any
lane. The proofs cover one word, or one row's word; docs/packed-scores.md extends them by induction to any number of
rows, words and pages.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import z3
from tests.support.protocol.yul import Machine, Word, body, code_of, constants_of, flag, word

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.ci, pytest.mark.timeout(1_200)]

SOURCE = Path(__file__).resolve().parents[3] / "contracts/libraries/PackedScores.sol"
CONSTANTS = constants_of(SOURCE)
LANES = range(16)
LIMIT = 0x8000
MAX_SEATS, MAX_H, MAX_TAU = (CONSTANTS[name].as_long() for name in ("MAX_SEATS", "MAX_H", "MAX_TAU"))
MEASURE = code_of(SOURCE, "measure")
COLUMN = body(MEASURE, "column := add(column, 0x20) } {")
ROW = body(COLUMN, "row := add(row, 0x40) } {")


def lane(value: Word, index: int) -> Word:
    """Lane 0 is the highest."""
    return z3.ZeroExt(240, z3.Extract(255 - 16 * index, 240 - 16 * index, value))


def all_lanes(value: Word, below: int) -> z3.BoolRef:
    return z3.And(*(z3.ULT(lane(value, index), below) for index in LANES))


def proven(claim: z3.BoolRef, *assumptions: z3.BoolRef) -> None:
    """Prove that no values satisfy the assumptions and violate the claim."""
    solver = z3.SolverFor("QF_BV")
    solver.set("timeout", 1_000_000)
    solver.add(*assumptions, z3.Not(claim))
    result = solver.check()
    assert result == z3.unsat, f"{result}: {solver.model() if result == z3.sat else solver.reason_unknown()}"


def plain_over(distance: Word, free: Word) -> Word:
    """max(distance - free, 0)"""
    return z3.If(z3.UGE(distance, free), distance - free, z3.BitVecVal(0, distance.size()))


def plain_clipped(a: Word, b: Word, free: Word, tau: Word) -> Word:
    """min(max(|a - b| - free, 0), tau)"""
    distance = z3.If(z3.UGE(a, b), a - b, b - a)
    over = z3.If(z3.UGT(distance, free), distance - free, z3.BitVecVal(0, a.size()))
    return z3.If(z3.UGT(over, tau), tau, over)


def spread_out(a: Word, b: Word) -> Word:
    """a * b where one operand has only the lowest bits of lanes set and the other fits into a lane.

    The product is the sum of factor * 2^(16 i) over the set bits, each within its own lane, so no addition carries. A
    general multiplication of 256 by 256 bits is the slowest operation for z3.
    """
    fits = z3.is_bv_value(a) or z3.simplify(b).eq(z3.simplify(CONSTANTS["O"]))
    bits, factor = (b, a) if fits else (a, b)
    proven(bits & ~CONSTANTS["O"] == 0)
    proven(z3.ULE(factor, 0xFFFF))
    chosen = (z3.Extract(240 - 16 * index, 240 - 16 * index, bits) == 1 for index in LANES)
    return z3.Concat(*(z3.If(bit, z3.Extract(15, 0, factor), z3.BitVecVal(0, 16)) for bit in chosen))


def joined(lanes: list[Word]) -> Word:
    return z3.Concat(*lanes)


class Row:
    """One row's word against one median word: runs the source's statements in order, for all values at once.

    After each statement z3 proves that every lane has the value of the plain rule; the next statement starts from it.
    """

    def __init__(self) -> None:
        self.x = [z3.ZeroExt(1, z3.BitVec(f"x{i}", 15)) for i in LANES]
        self.m = [z3.ZeroExt(1, z3.BitVec(f"m{i}", 15)) for i in LANES]
        self.le, self.ge = ([z3.BitVec(f"{name}{i}", 16) for i in LANES] for name in ("le", "ge"))
        self.h, self.tau, self.seats, self.before = z3.BitVecs("h tau seats before", 16)
        self.bounds = [z3.ULE(self.h, MAX_H), z3.UGE(self.tau, 1), z3.ULE(self.tau, MAX_TAU)]
        # `before`: seats of the rows counted so far. No lane exceeds it, and this row's seats still fit.
        self.room = [z3.ULE(self.before, MAX_SEATS), z3.ULE(self.seats, MAX_SEATS - self.before)]
        self.room += [z3.ULE(count, self.before) for count in (*self.le, *self.ge)]
        # |x - m| as any number of 15 bits. Once it is proven to be in its lane, only this is used.
        self.distance = [z3.ZeroExt(1, z3.BitVec(f"d{i}", 15)) for i in LANES]
        # max(d - h, 0) and max(d - h - tau, 0) as any two numbers of which the second is not larger.
        self.last = {name: [z3.BitVec(f"{name} at last {i}", 16) for i in LANES] for name in ("t", "u")}
        self.proofs: list[str] = []

    def wide(self, value: Word) -> Word:
        return z3.ZeroExt(240, value)

    def plain(self) -> dict[str, list[list[Word]]]:
        """Expected values of each assignment in the loop's body, lane by lane, in order."""
        x, m, h, clip = self.x, self.m, self.h, self.h + self.tau
        apart = [z3.If(z3.UGE(a, b), a - b, b - a) for a, b in zip(x, m, strict=True)]
        distance = self.distance
        high = z3.BitVecVal(LIMIT, 16)
        one, zero = z3.BitVecVal(1, 16), z3.BitVecVal(0, 16)
        over = [[plain_over(d, free) for d in distance] for free in (h, clip)]
        reaches = [[z3.If(z3.UGE(d, free), high, zero) for d in distance] for free in (h, clip)]
        return {
            "below": [[high - b for b in m]],
            "t": [[high + a - b for a, b in zip(x, m, strict=True)], [high + d - h for d in distance], over[0]],
            "u": [[high + b - a for a, b in zip(x, m, strict=True)], [high + d - clip for d in distance], over[1]],
            "one": [[z3.If(z3.UGE(a, b), one, zero) for a, b in zip(x, m, strict=True)], *reaches],
            "ge": [[n + z3.If(z3.UGE(a, b), self.seats, zero) for n, a, b in zip(self.ge, x, m, strict=True)]],
            "le": [[n + z3.If(z3.ULE(a, b), self.seats, zero) for n, a, b in zip(self.le, x, m, strict=True)]],
            "d": [[high + d for d in apart]],
        }

    def check(self) -> None:
        expected = self.plain()

        def assigned(name: str, value: Word) -> Word:
            if name not in expected:
                return value
            lanes = expected[name].pop(0)
            proven(value == joined(lanes), *self.bounds, *self.room)
            self.proofs.append(name)
            if name == "d":
                proven(z3.And(*(z3.ULT(d - LIMIT, LIMIT) for d in lanes)))
                return joined([z3.Concat(z3.BitVecVal(1, 1), z3.Extract(14, 0, d)) for d in self.distance])
            if name in self.last and not expected[name]:
                return joined(self.last[name])
            return joined(lanes)

        start = re.search(r"let below := sub\(H, mload\(add\(middle, column\)\)\)", COLUMN)
        assert start is not None
        names = dict.fromkeys(("middle", "column", "from", "stride", "row"), word(0))
        sides = {"free": joined([self.h] * 16), "clip": joined([self.h + self.tau] * 16)}
        counts = {"le": joined(self.le), "ge": joined(self.ge)}
        loss = z3.BitVec("loss", 256)
        memory = iter([joined(self.m), self.wide(self.seats), loss])
        machine = Machine(
            CONSTANTS | names | sides | counts,
            {"mul": spread_out, "mload": lambda _at: next(memory), "calldataload": lambda _at: joined(self.x),
             "mod": self.modulo, "mstore": self.stored},
            assigned,
        )  # fmt: skip
        machine.run(start.group(0))
        machine.run(ROW)
        assert not any(expected.values())
        assert next(memory, None) is None
        # The row's loss grows by the remainder that modulo() returned.
        proven(self.kept == loss + z3.BitVec("remainder", 256))

    def modulo(self, value: Word, modulus: Word) -> Word:
        """Prove that the dividend has min(max(d - h, 0), tau) in each lane, where d = |x - m|."""
        assert z3.simplify(modulus).as_long() == 0xFFFF
        pairs = list(zip(self.last["t"], self.last["u"], strict=True))
        proven(value == joined([t - u for t, u in pairs]), *(z3.ULE(u, t) for t, u in pairs))
        # For both values in any one lane, the difference is the clipped distance.
        d, nothing = self.distance[0], z3.BitVecVal(0, 16)
        t, u = plain_over(d, self.h), plain_over(d, self.h + self.tau)
        proven(z3.And(z3.ULE(u, t), t - u == plain_clipped(d, nothing, self.h, self.tau)), *self.bounds)
        self.proofs.append("distances")
        return z3.BitVec("remainder", 256)

    def stored(self, _at: Word, value: Word) -> Word:
        self.kept = value
        return value


def test_one_row_counts_in_every_lane_as_the_plain_rule_does() -> None:
    """Seats with x >= m and x <= m are counted without a carry, and distances are clipped, in all lanes of any word."""
    row = Row()
    row.check()
    assert row.proofs == ["below", "t", "u", "one", "ge", "le", "d", "t", "one", "t", "u", "one", "u", "distances"]
    # The counts do not exceed the seats of the counted rows, which the next row assumes.
    for count in (*row.plain()["ge"][0], *row.plain()["le"][0]):
        proven(z3.ULE(count, row.before + row.seats), *row.room)


def test_the_free_distance_and_the_clip_lie_in_every_lane() -> None:
    h, tau = z3.BitVecs("h tau", 16)
    wide = {"free": z3.ZeroExt(240, h), "clip": z3.ZeroExt(240, h + tau)}
    setup = Machine(wide, {"mul": lambda a, b: a * b})
    spread = re.findall(r"(free|clip) := (or\(.*?\)\))", MEASURE)
    assert [name for name, _ in spread] == ["free", "clip"]
    for bits in (16, 32, 64, 128):
        setup.variables["bits"] = word(bits)
        setup.run(" ".join(f"{name} := {expression}" for name, expression in spread))
    bounds = [z3.ULE(h, MAX_H), z3.ULE(tau, MAX_TAU)]
    proven(setup.variables["free"] == joined([h] * 16), *bounds)
    proven(setup.variables["clip"] == joined([h + tau] * 16), *bounds)
    assert MAX_H + MAX_TAU < LIMIT


def test_the_remainder_is_the_sum_of_the_lanes() -> None:
    """2^(16 i) = 1 mod 2^16 - 1, so a word and the sum of its lanes (below 2^16 - 1) have the same remainder."""
    assert all(pow(2, 16 * index, 0xFFFF) == 1 for index in LANES)
    assert 16 * MAX_TAU < 0xFFFF


def test_the_criterion_is_that_of_the_lower_median() -> None:
    """The word passes exactly if in every lane m < 2^15, 2 seats(x <= m) >= W and 2 (W - seats(x >= m)) < W."""
    m, le, ge = ([z3.BitVec(f"{name}{i}", 16) for i in LANES] for name in ("m", "le", "ge"))
    total = z3.BitVec("total", 16)
    bounds = [z3.UGE(total, 1), z3.ULE(total, MAX_SEATS)] + [z3.ULE(count, total) for count in (*le, *ge)]
    half, more = z3.UDiv(total + 1, z3.BitVecVal(2, 16)), z3.UDiv(total, z3.BitVecVal(2, 16)) + 1
    expected = {"le": [LIMIT + count - half for count in le], "ge": [LIMIT + count - more for count in ge]}

    def assigned(name: str, value: Word) -> Word:
        if name not in expected:
            return value
        proven(value == joined(expected[name]), *bounds)
        return joined(expected[name])

    names = {"le": joined(le), "ge": joined(ge), "total": z3.ZeroExt(240, total), "middle": word(0), "column": word(0)}
    machine = Machine(CONSTANTS | names, {"mul": spread_out, "mload": lambda _at: joined(m)}, assigned)
    end = COLUMN[COLUMN.index("le := sub(or(le, H)") :]
    statements, _, rest = end.partition("if ")
    machine.run(statements)
    machine.run(f"wrong := {rest[: rest.index('{')]}")
    passes = machine.variables["wrong"] == 0
    wrong = machine.variables["wrong"]
    for index in LANES:
        right = z3.And(
            z3.ULT(m[index], LIMIT),
            z3.UGE(2 * z3.ZeroExt(1, le[index]), z3.ZeroExt(1, total)),
            z3.ULT(2 * z3.ZeroExt(1, total - ge[index]), z3.ZeroExt(1, total)),
        )
        proven((lane(wrong, index) == 0) == right, *bounds)
    proven(passes == z3.And(*(lane(wrong, index) == 0 for index in LANES)))
    # With a high bit set the counts mean nothing; the word is refused whatever they are.
    loose = z3.BitVec("any le", 256), z3.BitVec("any ge", 256)
    again = Machine(CONSTANTS | names | {"le": loose[0], "ge": loose[1]}, {"mload": lambda _at: joined(m)})
    again.run(f"wrong := {rest[: rest.index('{')]}")
    proven(again.variables["wrong"] != 0, z3.Not(all_lanes(joined(m), LIMIT)))


def test_a_malformed_word_is_found() -> None:
    code = code_of(SOURCE, "firstBadWord")
    high = re.search(r"if (and\(calldataload\(.*?\), H\)) \{", code)
    past = re.search(r"if (shl\(mul\(16, used\), calldataload\(.*?\)\)) \{", code)
    assert high is not None
    assert past is not None
    x, used = z3.BitVecs("x used", 256)
    names = {"bad": word(0), "count": word(1), "words": word(0), "used": used}
    machine = Machine(CONSTANTS | names, {"calldataload": lambda _at: x})
    for name, found in (("high", high), ("past", past)):
        machine.run(f"{name} := {found.group(1).replace('words.offset', 'words')}")
    proven((machine.variables["high"] != 0) == z3.Not(all_lanes(x, LIMIT)))
    for index in LANES:
        empty = z3.And(*(lane(x, place) == 0 for place in LANES if place >= index + 1))
        proven((machine.variables["past"] == 0) == empty, used == index + 1)


def test_the_spread_counts_the_plain_distance() -> None:
    weigh = code_of(SOURCE, "weigh")
    a, b, free, tau = z3.BitVecs("a b free_ tau_", 256)
    machine = Machine({"a": a, "b": b, "free_": free, "tau_": tau, "d": word(0)}, {})
    machine.run(body(weigh, "function distance(a, b, free_, tau_) -> d {"))
    small = [z3.ULT(value, LIMIT) for value in (a, b, free, tau)]
    proven(machine.variables["d"] == plain_clipped(a, b, free, tau), *small)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_the_weight_is_the_power_above_the_floor(power: int) -> None:
    """Proves one step of the loop for any word; the next step processes the next lane until the word is 0."""
    weigh = code_of(SOURCE, "weigh")
    lanes = body(weigh, "for {} word { word := shl(16, word) } {")
    value, weights, floor = z3.BitVecs("value weights floorScore", 256)
    machine = Machine({"word": value, "weights": weights, "floorScore": floor, "power": word(power)}, {})
    take = re.search(r"let m := shr\(240, word\)", lanes)
    assert take is not None
    machine.run(take.group(0))
    proven(machine.variables["m"] == lane(value, 0))
    machine.run("word := shl(16, word)")
    proven(z3.And(*(lane(machine.variables["word"], i) == lane(value, i + 1) for i in range(15))))
    # The weight of a median. Its products do not overflow: three numbers below 2^15 give less than 2^45.
    times = z3.Function("times", z3.BitVecSort(256), z3.BitVecSort(256), z3.BitVecSort(256))
    m = z3.BitVec("m", 256)
    machine.variables |= {"m": m}
    machine.builtins["mul"] = times
    machine.run(lanes[lanes.index("if gt(m, floorScore)") :])
    above = m - floor
    plain = above
    for _ in range(power - 1):
        plain = times(plain, above)
    counted = weights + z3.If(z3.UGT(m, floor), plain, word(0))
    solver = z3.Solver()
    solver.add(z3.ULT(m, LIMIT), z3.ULT(floor, LIMIT), machine.variables["weights"] != counted)
    assert solver.check() == z3.unsat
    assert (LIMIT - 1) ** 3 < 1 << 45
    # A median of 0 or 1 has no weight: the loop skips it, and may end when only zeros are left.
    skip = re.search(r"if (lt\(m, 2\)) \{ continue \}", lanes)
    assert skip is not None
    machine.variables["m"] = m
    machine.run(f"skipped := {skip.group(1)}")
    proven(machine.variables["skipped"] == flag(z3.ULE(m, 1)))
    proven(z3.Not(z3.UGT(m, floor)), z3.ULE(m, 1), z3.UGE(floor, 1))
