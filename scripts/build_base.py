"""Build the tiny base model that ships with Covey.

Trains a byte-level BPE tokenizer and a small Qwen3 causal language model on general English text
(WordNet glosses and the King James Bible, both from Debian packages), and writes a folder that
transformers, PEFT and Covey load unchanged:

    apt-get install wordnet-base bible-kjv-text bible-kjv
    python scripts/build_base.py --out node/covey/lora/bases/tiny

The training text has no clinical text beyond that of a dictionary, so that the demo's adapters have to learn it.
The run is deterministic for a seed, a thread count and a CPU model.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen3Config, Qwen3ForCausalLM

END_OF_TEXT = "<|endoftext|>"
# The pre-tokenizer pattern of Qwen's tokenizers, so that digits, punctuation and spaces are treated alike.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
VERSES_PER_DOCUMENT = 6
CONFIG: dict[str, Any] = {
    "vocab_size": 4096,
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "rms_norm_eps": 1e-6,
    "use_cache": False,
}


def wordnet_documents(folder: Path) -> list[str]:
    """One document per synset: its words, then its gloss with examples."""
    documents = []
    for part in ("noun", "verb", "adj", "adv"):
        path = folder / f"data.{part}"
        if not path.is_file():
            sys.exit(f"{path} is missing: install it with `apt-get install wordnet-base`")
        for line in path.read_text(encoding="latin-1").splitlines():
            if line.startswith("  ") or " | " not in line:
                continue  # licence header
            head, gloss = line.split(" | ", 1)
            fields = head.split(" ")
            count = int(fields[3], 16)
            words = [re.sub(r"\([a-z]+\)$", "", word).replace("_", " ") for word in fields[4 : 4 + 2 * count : 2]]
            documents.append(f"{', '.join(words)}: {gloss.strip()}")
    return documents


def bible_documents() -> list[str]:
    """Runs of consecutive verses of one chapter, references removed."""
    program = shutil.which("bible")
    if program is None:
        sys.exit("the `bible` program is missing: install it with `apt-get install bible-kjv bible-kjv-text`")
    out = subprocess.run(
        [program, "-f", "Gen1:1-Rev22:21"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    ).stdout
    chapters: dict[str, list[str]] = {}
    for line in out.splitlines():
        found = re.match(r"^(\w+?\d+):\d+ (.*)$", line.strip())
        if found:
            chapters.setdefault(found.group(1), []).append(found.group(2).strip())
    verses = sum(len(chapter) for chapter in chapters.values())
    if verses != 31_102:
        sys.exit(f"the `bible` program gave {verses} verses, not 31,102: is bible-kjv-text installed?")
    return [
        " ".join(chapter[start : start + VERSES_PER_DOCUMENT])
        for chapter in chapters.values()
        for start in range(0, len(chapter), VERSES_PER_DOCUMENT)
    ]


def is_held_out(document: str) -> bool:
    """True for one document in a hundred, selected by the hash of its text."""
    return int.from_bytes(hashlib.sha256(document.encode()).digest()[:4], "big") % 100 == 0


def train_tokenizer(documents: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern=_regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def _regex(pattern: str) -> Any:
    from tokenizers import Regex

    return Regex(pattern)


def token_stream(tokenizer: Tokenizer, documents: list[str], order: np.random.Generator) -> torch.Tensor:
    """All documents in random order, each preceded by the end-of-text token."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    encoded = [[end, *encoding.ids] for encoding in tokenizer.encode_batch(documents)]
    stream = [token for index in order.permutation(len(encoded)) for token in encoded[index]]
    return torch.tensor(stream, dtype=torch.long)


def mean_loss(model: Qwen3ForCausalLM, stream: torch.Tensor, length: int) -> float:
    """Mean NLL, nats per token, over the stream cut into rows of ``length`` tokens."""
    rows = stream[: (stream.numel() - 1) // length * length + 1]
    total, count = 0.0, 0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, rows.numel() - 1, length * 16):
            chunk = rows[start : start + length * 16 + 1]
            inputs, targets = chunk[:-1].view(-1, length), chunk[1:].view(-1, length)
            logits = model(input_ids=inputs).logits.float()
            total += float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum"))
            count += targets.numel()
    return total / count


def train_model(
    stream: torch.Tensor, held_out: torch.Tensor, args: argparse.Namespace
) -> tuple[Qwen3ForCausalLM, dict[str, Any]]:
    torch.manual_seed(args.seed)
    options: dict[str, Any] = {**CONFIG, "attn_implementation": "sdpa", "bos_token_id": 0, "eos_token_id": 0}
    build: Any = Qwen3ForCausalLM
    model: Qwen3ForCausalLM = build(Qwen3Config(**options))
    decay = [p for p in model.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if p.ndim != 2]
    optimiser = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
        lr=args.lr,
        betas=(0.9, 0.95),
        fused=True,
    )
    order = torch.Generator().manual_seed(args.seed)
    row_count = (stream.numel() - 1) // args.length
    queue = torch.empty(0, dtype=torch.long)
    began, running = time.monotonic(), math.nan
    for step in range(args.steps):
        warm = min(1.0, (step + 1) / 100)
        rate = args.lr * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / args.steps)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        if queue.numel() < args.batch:
            offset = int(torch.randint(args.length, (1,), generator=order))  # each epoch cuts other rows
            starts = torch.randperm(row_count - 1, generator=order) * args.length + offset
            queue = torch.cat([queue, starts])
        starts, queue = queue[: args.batch], queue[args.batch :]
        rows = stream[starts[:, None] + torch.arange(args.length + 1)]
        for part in torch.split(rows, args.micro):
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(input_ids=part[:, :-1]).logits
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), part[:, 1:].flatten())
            torch.autograd.backward(loss * len(part) / len(rows))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        running = loss.item() if math.isnan(running) else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 99 or step == args.steps - 1:
            throughput = (step + 1) * args.batch * args.length / (time.monotonic() - began)
            print(f"step {step + 1}/{args.steps}  loss {running:.4f}  {throughput:,.0f} tokens/s", flush=True)
    # The held-out loss is that of the shipped weights, which are rounded to bf16.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(torch.bfloat16))
    facts = {
        "train_tokens_seen": args.steps * args.batch * args.length,
        "seconds": round(time.monotonic() - began),
        "held_out_loss": round(mean_loss(model, held_out, args.length), 4),
    }
    return model, facts


def write(out: Path, model: Qwen3ForCausalLM, tokenizer: Tokenizer, facts: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    weights = {
        name: tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in sorted(model.state_dict().items())
        if name != "lm_head.weight"  # tied to the embedding
    }
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_dict()
    for key in ("_name_or_path", "transformers_version"):
        config.pop(key, None)
    config.update(architectures=["Qwen3ForCausalLM"], dtype="bfloat16")
    _write_json(out / "config.json", config)
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    _write_json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END_OF_TEXT,
            "pad_token": END_OF_TEXT,
            "model_max_length": CONFIG["max_position_embeddings"],
            "clean_up_tokenization_spaces": False,
        },
    )
    (out / "README.md").write_text(CARD.format(**facts), encoding="utf-8")


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


CARD = """---
license: other
language: en
library_name: transformers
---
# Covey tiny base

A {parameters:,}-parameter Qwen3 causal language model (transformers' `Qwen3ForCausalLM`) with a byte-level BPE
tokenizer of {vocab_size:,} tokens. It exists so that Covey's demonstration and tests train and score real adapters
on a laptop, without a download. It is not suitable for any other use.

| | |
|---|---|
| layers × width, MLP width | {layers} × {hidden}, {inter} |
| attention heads, key-value heads, head size | {heads}, {kv}, {head_dim} |
| context | {context} tokens (trained on rows of {length}) |
| weights | bfloat16 safetensors, embedding tied to the output |
| training text | {train_tokens:,} tokens: {wordnet:,} WordNet synsets, {bible:,} passages of the King James Bible |
| training | {train_tokens_seen:,} tokens seen, batch {batch} × {length}, bf16 autocast, seed {seed} |
| optimiser | AdamW (0.9, 0.95), peak rate {lr}, cosine |
| time | {seconds} s of wall clock, {threads} CPU threads |
| held-out loss | {held_out_loss} nats per token over {held_out_tokens:,} tokens (1% of documents, never trained on) |

Rebuild it with `python scripts/build_base.py`.

## Sources and licences
- WordNet 3.0 glosses (Debian package `wordnet-base`). WordNet 3.0 Copyright 2006 by Princeton University. All rights
  reserved. Permission to use, copy, modify and distribute this software and database and its documentation for any
  purpose and without fee or royalty is hereby granted, provided that the copyright notice, these statements and the
  disclaimer appear on all copies. THIS SOFTWARE AND DATABASE IS PROVIDED "AS IS" AND PRINCETON UNIVERSITY MAKES NO
  REPRESENTATIONS OR WARRANTIES, EXPRESS OR IMPLIED. The name of Princeton University or Princeton may not be used in
  advertising or publicity pertaining to distribution of the software and/or database.
- King James Bible (Debian package `bible-kjv-text`): the text of 1611 is in the public domain (in the United Kingdom
  printing it is reserved to the Crown's patentees).

The weights carry the licence of the Covey repository.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("node/covey/lora/bases/tiny"))
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--batch", type=int, default=16, help="rows per step")
    parser.add_argument("--micro", type=int, default=8, help="rows per forward pass")
    parser.add_argument("--length", type=int, default=128, help="tokens per row")
    parser.add_argument("--lr", type=float, default=2.5e-3)
    parser.add_argument("--seed", type=int, default=1611)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    wordnet, bible = wordnet_documents(args.wordnet), bible_documents()
    documents = wordnet + bible
    train = [document for document in documents if not is_held_out(document)]
    held = [document for document in documents if is_held_out(document)]
    tokenizer = train_tokenizer(train)
    order = np.random.default_rng(args.seed)
    stream, held_stream = token_stream(tokenizer, train, order), token_stream(tokenizer, held, order)
    print(f"{len(train):,} documents, {stream.numel():,} tokens; held out {held_stream.numel():,} tokens", flush=True)
    model, facts = train_model(stream, held_stream, args)
    facts.update(
        parameters=sum(p.numel() for p in model.parameters()),
        vocab_size=CONFIG["vocab_size"],
        layers=CONFIG["num_hidden_layers"],
        hidden=CONFIG["hidden_size"],
        inter=CONFIG["intermediate_size"],
        heads=CONFIG["num_attention_heads"],
        kv=CONFIG["num_key_value_heads"],
        head_dim=CONFIG["head_dim"],
        context=CONFIG["max_position_embeddings"],
        length=args.length,
        batch=args.batch,
        lr=args.lr,
        seed=args.seed,
        threads=args.threads,
        train_tokens=stream.numel(),
        held_out_tokens=held_stream.numel(),
        wordnet=len(wordnet),
        bible=len(bible),
    )
    write(args.out, model, tokenizer, facts)
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f"held-out loss {facts['held_out_loss']} after {facts['seconds']} s; {size / 1e6:.2f} MB in {args.out}")


if __name__ == "__main__":
    main()
