#!/usr/bin/env python3
"""Writes smollm2.json beside this file: what transformers itself makes of the GGUF file of SmolLM2-135M-Instruct.

regenerate.py GGUF    (needs `scripts/setup --golden`; run with .venv/bin/python)
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXTS = [
    "Hello world, it's 12345 or 3.14159: 1,000 ²½ ٣٤",
    "  leading   spaces\n\n\t tabs and \n \n blank lines  \n",
    "日本語テキスト 🤗👩‍👩‍👧 é e\u0301 ß İı 한국어 русский العربية עברית ไทย हिन्दी",
    "def f(x):\n    return x**2  # don't we'll I'VE\n\tif a!=b: pass\n",
    "<|im_start|>user\nhi<|im_end|><|endoftext|> <repo_name>",
    "\u00a0nbsp\u2003em\u200bzw\ufeffbom\x00\x01nul\r\ncrlf\rcr",
    "https://example.org/c?d=e&f=%20 foo_bar-baz __init__ camelCase",
    "a" * 300,
    " ",
    "\n",
    "𝕳𝖊 \U0001f1e9\U0001f1ea \ud7ff",
]


def weights_digest(model: torch.nn.Module) -> str:
    """SHA-256 over names and float16 bytes of all tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if name != "lm_head.weight":  # tied to the embeddings
            digest.update(name.encode())
            digest.update(tensor.half().numpy().tobytes())
    return digest.hexdigest()


def main() -> None:
    gguf = Path(sys.argv[1])
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    golden = {
        "weights_sha256": weights_digest(model),
        "texts": [{"text": text, "ids": tokenizer(text).input_ids} for text in TEXTS],
    }
    target = Path(__file__).with_name("smollm2.json")
    target.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
