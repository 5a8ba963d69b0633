"""Hostile weights files: truncated files, header bombs, offsets, shapes, dtypes, values, tensor names."""

from __future__ import annotations

import json
import struct
import unicodedata
from typing import Any

from tests.support.lora.hostile_base import (
    DATA,
    HEADER,
    HEADER_BYTES,
    NAMES,
    RANK,
    SHAPES,
    VALID_CONFIG,
    VALID_MANIFEST,
    VALID_WEIGHTS,
    Json,
    Rows,
    entry,
    fields,
    file,
    header,
    raw,
    renamed,
    text,
)

from covey.lora.adapters.format import CONFIG, MANIFEST, WEIGHTS
from covey.lora.adapters.refusal import Refusal


def truncated() -> Rows:
    start, end = 8 + HEADER_BYTES, len(VALID_WEIGHTS)
    for cut in (*range(11), 16, 100, start // 2, start - 9, start - 1):
        yield f"weights cut at {cut}", raw(WEIGHTS, VALID_WEIGHTS[:cut]), Refusal.BAD_HEADER
    for cut in (start, start + 1, start + 4, (start + end) // 2, end - 1024, end - 4, end - 2, end - 1):
        yield f"weights cut at {cut}", raw(WEIGHTS, VALID_WEIGHTS[:cut]), Refusal.BAD_OFFSETS
    for name, data in ((CONFIG, VALID_CONFIG), (MANIFEST, VALID_MANIFEST)):
        for cut in (0, 1, 2, len(data) // 3, len(data) // 2, len(data) - 1):
            yield f"{name} cut at {cut}", raw(name, data[:cut]), Refusal.BAD_JSON
    for extra in (b"\0", b" ", b"{}", DATA, VALID_WEIGHTS):
        yield f"{len(extra)} bytes more", raw(WEIGHTS, VALID_WEIGHTS + extra), Refusal.BAD_OFFSETS


def header_bombs() -> Rows:
    first = NAMES[0]
    for length in ((1 << 20) + 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        yield f"length {length}", raw(WEIGHTS, struct.pack("<Q", length) + b"{}" + DATA), Refusal.HEADER_TOO_LARGE
    for length in (0, 1, len(DATA) + 3, 1 << 20):
        yield f"length {length}", raw(WEIGHTS, struct.pack("<Q", length) + b"{}" + DATA), Refusal.BAD_HEADER
    for depth in (8, 900, 2_000, 100_000, 500_000):
        for left, right in ((b"[", b"]"), (b'{"a":', b"}")):
            if len(left) * depth < 1 << 19 or left == b"[":
                tail = b"0" + right * depth if depth < 10_000 else b""
                yield (
                    f"{depth} of {left!r}",
                    raw(WEIGHTS, file(b'{"x":' + left * depth + tail + b"}")),
                    Refusal.BAD_JSON,
                )
    for digits in (4_301, 100_000, 1_000_000):
        yield f"{digits} digits", raw(WEIGHTS, file(b'{"x":' + b"9" * digits + b"}")), Refusal.BAD_JSON
    yield "4,000 digits in a shape", entry(first, shape=[RANK, 10**4000]), Refusal.BAD_SHAPE
    yield "4,000 digits in an offset", entry(first, data_offsets=[0, 10**4000]), Refusal.BAD_OFFSETS
    many = b",".join(b'"%x":0' % i for i in range(90_000))
    yield "90,000 tensors", raw(WEIGHTS, file(b"{" + many + b"}")), Refusal.UNEXPECTED_TENSOR
    yield "90,000 metadata", raw(WEIGHTS, file(b'{"__metadata__":{' + many + b"}}")), Refusal.BAD_HEADER
    yield "a name of a megabyte", raw(WEIGHTS, file(b'{"' + b"n" * 1_000_000 + b'":0}')), Refusal.UNEXPECTED_TENSOR
    for item in (b"[]", b"{}", b'""', b"1e5", b"12345678"):
        bomb = file(b'{"x":[' + b",".join([item] * (1_000_000 // (len(item) + 1))) + b"]}")
        yield f"a megabyte of {item!r}", raw(WEIGHTS, bomb), Refusal.UNEXPECTED_TENSOR
    yield "one name 90,000 times", raw(WEIGHTS, file(b"{" + b",".join([b'"x":0'] * 90_000) + b"}")), Refusal.BAD_JSON
    yield "a megabyte of spaces", raw(WEIGHTS, file(b"{" + b" " * 1_000_000)), Refusal.BAD_JSON
    yield "a megabyte of backslashes", raw(WEIGHTS, file(b'{"' + b"\\" * 999_999 + b'":0}')), Refusal.BAD_JSON


def offsets() -> Rows:
    end = len(DATA)
    for tensor in (NAMES[0], NAMES[len(NAMES) // 2], NAMES[-1]):
        at, to = HEADER[tensor]["data_offsets"]
        other = next(
            e["data_offsets"] for n, e in HEADER.items() if n in SHAPES and n != tensor and SHAPES[n] == SHAPES[tensor]
        )
        wrong: dict[str, Any] = {
            "backwards": [to, at],
            "negative": [-4, to - at - 4],
            "negative both": [-(to - at), 0],
            "on another tensor": other,
            "a byte late": [at + 1, to + 1],
            "a value late": [at + 4, to + 4],
            "at the end of the file": [end, end + to - at],
            "past the end": [end + 4096, end + 4096 + to - at],
            "near 2^63": [(1 << 63) - (to - at), 1 << 63],
            "past 2^64": [(1 << 64) + at, (1 << 64) + to],
            "wrapping at 2^64": [(1 << 64) - 4, to - at - 4],
            "too long": [at, to + 4],
            "too short": [at, to - 4],
            "empty": [at, at],
            "floats": [float(at), float(to)],
            "text": [str(at), str(to)],
            "truths": [False, True],
            "one": [at],
            "three": [at, to, to],
            "none": [],
            "null": None,
            "an object": {"0": at, "1": to},
            "infinite": [at, float("1e308")],
        }
        for name, value in wrong.items():
            yield f"{tensor[-40:]} {name}", entry(tensor, data_offsets=value), Refusal.BAD_OFFSETS
    pair = [HEADER[NAMES[0]]["data_offsets"], HEADER[NAMES[-1]]["data_offsets"]]
    yield (
        "infinity by overflow",
        text(f'"data_offsets":[0,{pair[0][1]}]', '"data_offsets":[0,1e999]'),
        Refusal.BAD_OFFSETS,
    )
    shift = header(
        lambda v: [e.update(data_offsets=[o + 8 for o in e["data_offsets"]]) for n, e in v.items() if n in SHAPES]
    )
    yield "a gap before all", shift, Refusal.BAD_OFFSETS
    same = header(
        lambda v: [
            e.update(data_offsets=[0, e["data_offsets"][1] - e["data_offsets"][0]]) for n, e in v.items() if n in SHAPES
        ]
    )
    yield "all at zero", same, Refusal.BAD_OFFSETS


def shapes() -> Rows:
    for tensor in (NAMES[0], NAMES[-1]):
        rows, columns = SHAPES[tensor]
        wrong: dict[str, Any] = {
            "transposed": [columns, rows],
            "a row more": [rows + 1, columns],
            "no rows": [0, columns],
            "negative": [-rows, -columns],
            "flat": [rows * columns],
            "three axes": [1, rows, columns],
            "two ones more": [rows, columns, 1, 1],
            "floats": [float(rows), float(columns)],
            "text": [str(rows), str(columns)],
            "a truth": [rows == 1 or rows, True if columns == 1 else float(columns)],
            "2^62": [1 << 62, 4],
            "a product of 0 mod 2^64": [1 << 32, 1 << 32],
            "none": [],
            "null": None,
            "an object": {},
            "a number": rows * columns,
            "nested": [[rows], [columns]],
        }
        for name, value in wrong.items():
            yield f"{tensor[-40:]} {name}", entry(tensor, shape=value), Refusal.BAD_SHAPE
    for rank in (2, 8):
        yield f"a config of rank {rank}", fields(r=rank, lora_alpha=rank), Refusal.BAD_SHAPE


def dtypes() -> Rows:
    for dtype in (
        *("F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL", "F8_E4M3", "F8_E5M2", "F4", "C64"),
        *(
            "f32",
            "F32 ",
            " F32",
            "float32",
            "torch.float32",
            "",
            "F32\0",
            "Ｆ32",
            "F３2",
            "BF16\u200b",
            "object",
            "|O",
            "<f4",
        ),
        *(None, 3, True, 1.5, [], {}, ["F32"], {"dtype": "F32"}),
    ):
        yield f"{dtype!r}", entry(NAMES[3], dtype=dtype), Refusal.BAD_DTYPE
    for dtype in ("F16", "BF16"):
        yield f"{dtype} over float32 bytes", entry(NAMES[3], dtype=dtype), Refusal.BAD_OFFSETS


def values() -> Rows:
    patterns = {
        "F32": (
            4,
            {
                "NaN": 0x7FC00000,
                "a signalling NaN": 0x7F800001,
                "-NaN": 0xFFFFFFFF,
                "inf": 0x7F800000,
                "-inf": 0xFF800000,
            },
        ),
        "F16": (2, {"NaN": 0x7E00, "a signalling NaN": 0x7C01, "-NaN": 0xFFFF, "inf": 0x7C00, "-inf": 0xFC00}),
        "BF16": (2, {"NaN": 0x7FC0, "a signalling NaN": 0x7F81, "-NaN": 0xFFFF, "inf": 0x7F80, "-inf": 0xFF80}),
    }
    for dtype, (width, bits) in patterns.items():
        head: Json = {"__metadata__": {"format": "pt"}}
        position = 0
        for name in NAMES:
            size = SHAPES[name][0] * SHAPES[name][1] * width
            head[name] = {"dtype": dtype, "shape": list(SHAPES[name]), "data_offsets": [position, position + size]}
            position += size
        blob = file(json.dumps(head).encode(), bytes(position))
        start, count = len(blob) - position, position // width
        for what, value in bits.items():
            for place, index in (("first", 0), ("middle", count // 2), ("last", count - 1)):
                at = start + index * width
                corrupted = blob[:at] + value.to_bytes(width, "little") + blob[at + width :]
                yield f"{dtype} {what} {place}", raw(WEIGHTS, corrupted), Refusal.NOT_FINITE


def keys() -> Rows:
    first, last = NAMES[0], NAMES[-1]
    for name in (first, NAMES[20], last):
        yield f"without {name}", header(lambda v, n=name: v.pop(n)), Refusal.MISSING_TENSOR  # type: ignore[misc]
    yield "no B", header(lambda v: [v.pop(n) for n in NAMES if ".lora_B." in n]), Refusal.MISSING_TENSOR
    yield "no last layer", header(lambda v: [v.pop(n) for n in NAMES if ".layers.3." in n]), Refusal.MISSING_TENSOR
    yield "nothing", raw(WEIGHTS, file(b"{}", b"")), Refusal.MISSING_TENSOR
    yield "only metadata", raw(WEIGHTS, file(b'{"__metadata__":{"format":"pt"}}', b"")), Refusal.MISSING_TENSOR
    stem = first.removesuffix("lora_A.weight")
    for extra in (
        *(
            "base_model.model.lm_head.lora_A.weight",
            "base_model.model.model.embed_tokens.lora_embedding_A",
            "lm_head.weight",
        ),
        *(first.replace(".layers.0.", f".layers.{n}.") for n in ("4", "-1", "00", "999999999", "*", "٠")),
        *(
            stem + tail
            for tail in ("lora_A.bias", "lora_B.bias", "lora_C.weight", "lora_magnitude_vector", "base_layer.weight")
        ),
        *(stem + "modules_to_save.default.weight", "base_model." + first, "__class__", "__proto__", "__Metadata__"),
        *("os.system", "../../etc/passwd", "/etc/passwd", "", " ", "\0", "."),
    ):
        yield f"also {extra!r}", header(lambda v, n=extra: v.update({n: v[first]})), Refusal.UNEXPECTED_TENSOR  # type: ignore[misc]
    for other in (
        first.removeprefix("base_model.model."),
        first.replace(".lora_A.", ".lora_A.default."),
        *(first.upper(), first + " ", " " + first, first + "\0", first + "\n", first + ".", first.replace(".", "/")),
        *("\u202e" + first, first + "\u200d", first + "\ufeff", "\u00ad" + first),
        *(first.replace("a", "а"), first.replace("o", "ο"), first.replace("e", "е"), first.replace("w", "ｗ")),
        *(unicodedata.normalize(form, first + "é") for form in ("NFC", "NFD")),
        *(first.replace("i", "ı"), first.replace("l", "ⅼ"), first.replace("_", "＿"), first.replace(".", "．")),
    ):
        yield f"named {other!r}", renamed(first, other), Refusal.UNEXPECTED_TENSOR
    body = json.dumps(HEADER[first], separators=(",", ":"))
    for again in (first, first.replace("b", "\\u0062", 1), first.replace(".", "\\u002e")):
        yield f"twice {again}", text("{", f'{{"{again}":{body},'), Refusal.BAD_JSON
    for field in ("dtype", "shape", "data_offsets", "data_\\u006fffsets"):
        yield f"{field} twice", text('{"data_offsets"', f'{{"{field}":0,"{field}":0,"data_offsets"'), Refusal.BAD_JSON
    yield "metadata twice", text("{", '{"__metadata__":{},'), Refusal.BAD_JSON
    for value in (
        None,
        [],
        {},
        "x",
        1,
        True,
        {"dtype": "F32"},
        HEADER[first] | {"x": 1},
        HEADER[first] | {"Shape": [1]},
        [HEADER[first]],
    ):
        yield f"an entry {json.dumps(value)[:60]}", header(lambda v, e=value: v.update({first: e})), Refusal.BAD_HEADER  # type: ignore[misc]
    for value in (None, [], 5, "x", True, {"a": 1}, {"a": None}, {"a": {}}, {"a": "b", "c": ["d"]}):
        yield f"metadata {json.dumps(value)}", header(lambda v, m=value: v.update(__metadata__=m)), Refusal.BAD_HEADER  # type: ignore[misc]
