"""Hostile folders: other formats than safetensors or JSON, entries that are not regular files, names, sizes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import stat
import struct
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.support.lora.hostile_base import (
    HEADER_BYTES,
    VALID_CONFIG,
    VALID_MANIFEST,
    VALID_WEIGHTS,
    Rows,
    Write,
    file,
    instead,
    moved,
    raw,
    sparse,
)
from tests.support.lora.instrumented import LIMITS, Gadget

from covey.lora.adapters.format import CONFIG, MANIFEST, WEIGHTS
from covey.lora.adapters.refusal import Refusal


def zipped(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def containers() -> Rows:
    gadgets = [pickle.dumps(Gadget(), protocol=protocol) for protocol in range(6)]
    bomb = gzip.compress(bytes(64 << 20), mtime=0)
    others = {
        **{f"a pickle of protocol {number}": gadget for number, gadget in enumerate(gadgets)},
        "a zip with a pickle": zipped("archive/data.pkl", gadgets[2]),
        "a zip of the adapter": zipped(WEIGHTS, VALID_WEIGHTS),
        "a zip with ..": zipped("../../" + WEIGHTS, VALID_WEIGHTS),
        "a zip bomb": zipped(WEIGHTS, bytes(64 << 20)),
        "a zip of a zip bomb": zipped("a.zip", zipped("b", bytes(16 << 20))),
        "gzip of the adapter": gzip.compress(VALID_WEIGHTS, mtime=0),
        "a gzip bomb": bomb,
        "a gzip bomb twice": gzip.compress(bomb, mtime=0),
        "bzip2": bz2.compress(VALID_WEIGHTS),
        "xz": lzma.compress(VALID_WEIGHTS[:5000]),
        "tar": tarred("../" + WEIGHTS, VALID_WEIGHTS),
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "GGUF": b"GGUF\x03\0\0\0" + bytes(100),
        "ELF": b"\x7fELF\x02\x01\x01" + bytes(100),
        "NumPy": b"\x93NUMPY\x01\0" + bytes(100),
        "Python": b"import os; os.system('touch /tmp/covey-was-here')\n",
        "a shell script": b"#!/bin/sh\ntouch /tmp/covey-was-here\n",
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\n",
        "zeros": bytes(4096),
        "a leading byte": b"\0" + VALID_WEIGHTS,
        "big-endian length": struct.pack(">Q", HEADER_BYTES) + b"[" + VALID_WEIGHTS[9:],
        "a header that is an array": file(b"[" + VALID_WEIGHTS[8 : 8 + HEADER_BYTES] + b"]"),
        "a header after a space": file(b" " + VALID_WEIGHTS[8 : 8 + HEADER_BYTES]),
        "a header after a BOM": file(b"\xef\xbb\xbf" + VALID_WEIGHTS[8 : 8 + HEADER_BYTES]),
        "a header in UTF-16": file(b"\xff\xfe" + VALID_WEIGHTS[8 : 8 + HEADER_BYTES].decode().encode("utf-16-le")),
    }
    for what, data in others.items():
        yield f"weights: {what}", raw(WEIGHTS, data), Refusal.NOT_SAFETENSORS
    for name in (CONFIG, MANIFEST):
        for what in (
            *(f"a pickle of protocol {n}" for n in (0, 2, 5)),
            "a zip with a pickle",
            "gzip of the adapter",
            "Python",
        ):
            small = others[what] if len(others[what]) < 1 << 16 else gzip.compress(bytes(1 << 20), mtime=0)
            yield f"{name}: {what}", raw(name, small), Refusal.BAD_JSON
    for name in (
        "adapter_model.bin",
        "adapter_model.pt",
        "weights.pth",
        "model.ckpt",
        "x.pkl",
        "pytorch_model.bin",
        "optimizer.pt",
    ):
        yield f"extra: {name}", raw(name, gadgets[2]), Refusal.UNEXPECTED_FILE
        yield f"instead: {name}", moved(WEIGHTS, name), Refusal.MISSING_FILE
    yield "the adapter, then a zip", raw(WEIGHTS, VALID_WEIGHTS + others["a zip with a pickle"]), Refusal.BAD_OFFSETS


def nodes() -> Rows:
    def outside(path: Path) -> Path:
        return path.parent.parent / f"{path.parent.name}-outside"

    def inside(make: Callable[[Path], object]) -> Write:
        return lambda folder: make(folder / "extra")

    kinds: dict[str, Callable[[Path], object]] = {
        "a link to the same bytes": lambda p: p.symlink_to(outside(p)),
        "a relative link out": lambda p: p.symlink_to(f"../{outside(p).name}"),
        "a dangling link": lambda p: p.symlink_to("nowhere"),
        "a link to itself": lambda p: p.symlink_to(p.name),
        "a link to a folder": lambda p: p.symlink_to(p.parent.parent),
        "a link to a device": lambda p: p.symlink_to("/dev/zero"),
        "a link to a secret": lambda p: p.symlink_to("/proc/self/environ"),
        "a link to the standard input": lambda p: p.symlink_to("/dev/stdin"),
        "a folder": lambda p: p.mkdir(),
        "a pipe": os.mkfifo,
        "a socket": lambda p: os.mknod(p, stat.S_IFSOCK | 0o600),
    }
    for name in (WEIGHTS, CONFIG, MANIFEST):
        for what, make in kinds.items():
            yield f"{name} is {what}", instead(name, make), Refusal.NOT_A_REGULAR_FILE
    for what, make in kinds.items():
        yield f"extra: {what}", inside(make), Refusal.UNEXPECTED_FILE


def many_files(folder: Path) -> None:
    """Three thousand empty files."""
    for number in range(3000):
        (folder / f"{number}").touch()


def names() -> Rows:
    for name in (WEIGHTS, CONFIG, MANIFEST):
        yield f"no {name}", lambda f, n=name: (f / n).unlink(), Refusal.MISSING_FILE  # type: ignore[misc]
    twins: dict[str, Callable[[str], str]] = {
        "upper case": str.upper,
        "a space after": lambda n: n + " ",
        "a space before": lambda n: " " + n,
        "a dot after": lambda n: n + ".",
        "a newline": lambda n: n + "\n",
        "zero width": lambda n: n.replace(".", ".\u200b"),
        "written right to left": lambda n: "\u202e" + n[::-1],
        "Cyrillic": lambda n: n.replace("a", "а"),
        "full width": lambda n: n.replace(".", "．"),
        "a combining mark": lambda n: unicodedata.normalize("NFD", "á" + n[1:]),
        "a composed mark": lambda n: "á" + n[1:],
        "a backslash": lambda n: "..\\" + n,
    }
    for what, change in twins.items():
        for name in (WEIGHTS, CONFIG, MANIFEST):
            yield f"instead of {name}: {what}", moved(name, change(name)), Refusal.MISSING_FILE
        yield f"extra: {what}", raw(change(WEIGHTS), VALID_WEIGHTS), Refusal.UNEXPECTED_FILE
    for name in (
        *(
            "README.md",
            ".hidden",
            "...",
            "-rf",
            "$(touch x)",
            "%2e%2e%2fx",
            "a b",
            "~",
            "nul",
            "C:",
            "n" * 255,
            "日本語",
            "🐦",
        ),
        *(
            "modeling.py",
            "__init__.py",
            "sitecustomize.py",
            "conftest.py",
            "numpy.py",
            "json.py",
            "covey.py",
            "x.pth",
            "x.so",
        ),
        *("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"),
        *("model.safetensors", "adapter_model.safetensors.index.json", "adapter_model-00001-of-00002.safetensors"),
        *(
            "custom_generate.py",
            "modeling_qwen3.py",
            "configuration_qwen3.py",
            "requirements.txt",
            "setup.py",
            ".gitattributes",
        ),
    ):
        yield (
            f"extra: {name!r}",
            raw(name, b"import os; os.system('touch /tmp/covey-was-here')"),
            Refusal.UNEXPECTED_FILE,
        )
    yield (
        "extra: not UTF-8",
        lambda f: Path(os.fsdecode(os.fsencode(f) + b"/\xff\xfe")).touch(),
        Refusal.UNEXPECTED_FILE,
    )
    yield "extra: 3,000 files", many_files, Refusal.UNEXPECTED_FILE


def sizes() -> Rows:
    for size in (LIMITS.max_bytes + 1, 1 << 32, 1 << 40):
        yield f"weights of {size} bytes", sparse(WEIGHTS, size), Refusal.TOO_LARGE
    for name in (CONFIG, MANIFEST):
        for size in ((1 << 16) + 1, 1 << 30, 1 << 40):
            yield f"{name} of {size} bytes", sparse(name, size), Refusal.TOO_LARGE
        data = VALID_CONFIG if name == CONFIG else VALID_MANIFEST
        yield f"{name} and spaces", raw(name, data + b" " * (1 << 16)), Refusal.TOO_LARGE
        yield f"{name} and zeros", sparse(name, 1 << 16), Refusal.BAD_JSON
    yield "the weights and half a gigabyte of zeros", sparse(WEIGHTS, LIMITS.max_bytes), Refusal.BAD_OFFSETS


def jsons() -> Rows:
    bad: dict[str, bytes] = {
        "NaN": b'{"x":NaN}',
        "Infinity": b'{"x":Infinity}',
        "-Infinity": b'{"x":-Infinity}',
        "a line comment": b'{"x":1} // x',
        "a comment": b'{"x":/* x */1}',
        "a hash comment": b'# x\n{"x":1}',
        "a comma after": b'{"x":1,}',
        "a comma in a list": b'{"x":[1,]}',
        "single quotes": b"{'x':1}",
        "no quotes": b"{x:1}",
        "a BOM": b'\xef\xbb\xbf{"x":1}',
        "UTF-16": '{"x":1}'.encode("utf-16"),
        "UTF-32": '{"x":1}'.encode("utf-32"),
        "bad UTF-8": b'{"x":"\xff"}',
        "overlong UTF-8": b'{"x":"\xc0\xaf"}',
        "surrogates in UTF-8": b'{"x":"\xed\xa0\x80"}',
        "beyond Unicode": b'{"x":"\xf4\x90\x80\x80"}',
        "a lone surrogate": b'{"x":"\\ud800"}',
        "a lone surrogate as a key": b'{"\\udc00":1}',
        "surrogates the wrong way round": b'{"x":["\\udc00\\ud800"]}',
        "a control character": b'{"x":"\x01"}',
        "a raw newline": b'{"x":"\n"}',
        "a bad escape": b'{"x":"\\x41"}',
        "a key twice": b'{"x":1,"x":1}',
        "a key twice by an escape": b'{"x":1,"\\u0078":1}',
        "a key twice inside": b'{"x":{"y":{"z":1,"z":2}}}',
        "a key 9,000 times": b"{" + b",".join([b'"x":1'] * 9_000) + b"}",
        "two objects": b'{"x":1}{"y":1}',
        "two lines": b'{"x":1}\n{"y":1}',
        "a zero byte after": b'{"x":1}\0',
        "nested 9 deep": b'{"x":' + b"[" * 8 + b"]" * 8 + b"}",
        "nested 900 deep": b'{"x":' * 900 + b"1" + b"}" * 900,
        "nested 30,000 deep": b'{"x":' + b"[" * 30_000,
        "objects 9,000 deep": b'{"x":' * 9_000,
        "4,301 digits": b'{"x":' + b"9" * 4301 + b"}",
        "60,000 digits": b'{"x":' + b"9" * 60_000 + b"}",
        "hexadecimal": b'{"x":0x10}',
        "a leading zero": b'{"x":01}',
        "a plus": b'{"x":+1}',
        "True": b'{"x":True}',
        "undefined": b'{"x":undefined}',
        "no value": b'{"x":}',
        "no colon": b'{"x"}',
    }
    tops = (b"", b" ", b"[]", b'[{"x":1}]', b'"x"', b"1", b"null", b"true", b"\0", b"{", b"}", b"{]")
    for what, data in bad.items():
        for name in (CONFIG, MANIFEST):
            yield f"{name}: {what}", raw(name, data), Refusal.BAD_JSON
        if data.startswith(b"{"):
            yield f"header: {what}", raw(WEIGHTS, file(data)), Refusal.BAD_JSON
    for data in tops:
        for name in (CONFIG, MANIFEST):
            yield f"{name}: {data!r}", raw(name, data), Refusal.BAD_JSON
