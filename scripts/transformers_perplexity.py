#!/usr/bin/env python3
"""transformers_perplexity.py MODEL TOKENS WINDOWS: perplexity by transformers in float32, after what $OURS says."""

from __future__ import annotations

import json
import math
import os
import sys
import time

import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

WINDOW = 2048


def load(directory: str) -> torch.nn.Module:
    """The model of an original or a packed directory."""
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
        if "quantization_config" in json.load(file):
            from crvq.transformers_loader import load as load_packed

            return load_packed(directory)
    return AutoModelForCausalLM.from_pretrained(directory).float().eval()


def measure(model: torch.nn.Module, tokens: torch.Tensor, windows: int) -> tuple[float, int, float]:
    """Perplexity over windows that do not overlap, the tokens they predict, and the seconds it took."""
    loss, start = 0.0, time.monotonic()
    with torch.no_grad():
        for window in tokens[: windows * WINDOW].reshape(-1, WINDOW):
            loss += model(window[None], labels=window[None]).loss.double().item()
    return math.exp(loss / windows), windows * (WINDOW - 1), time.monotonic() - start


def report(name: str, perplexity: float, tokens: int, seconds: float) -> None:
    print(f"{name:14} perplexity {perplexity:10.3f}   {tokens / seconds:8.0f} tokens/s   {seconds:7.1f} s")


def main() -> None:
    directory, file, windows = sys.argv[1], sys.argv[2], int(sys.argv[3])
    tokens = torch.from_numpy(load_file(file)["input_ids"].reshape(-1)).long()
    windows = min(windows, len(tokens) // WINDOW)
    logging.disable_progress_bar()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    ours = json.loads(os.environ["OURS"])
    theirs = measure(load(directory), tokens, windows)
    report("crvq-coord", ours["perplexity"], ours["tokens"], ours["seconds"])
    report("transformers", *theirs)


if __name__ == "__main__":
    main()
