#!/usr/bin/env python3
"""torch_block.py PROGRAM MODEL BLOCK SEQUENCES LENGTH THREADS ROUNDS: BlockBenchmark and PyTorch take turns on one block."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging


class Ours:
    """BlockBenchmark, waiting for its turn."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self, word: str) -> float:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit("BlockBenchmark ended; see above")
        return float(answer)


class Theirs:
    """The same block in transformers, in float32, with scaled_dot_product_attention."""

    def __init__(self, model: str, block: int, sequences: int, length: int) -> None:
        loaded = AutoModelForCausalLM.from_pretrained(model, attn_implementation="sdpa").float().eval()
        self.layer = loaded.model.layers[block]
        self.input = torch.randn(sequences, length, loaded.config.hidden_size)
        self.positions = loaded.model.rotary_emb(self.input, torch.arange(length)[None])

    def run(self, states: torch.Tensor) -> torch.Tensor:
        output = self.layer(states, position_embeddings=self.positions)
        return output[0] if isinstance(output, tuple) else output

    def seconds(self, word: str) -> float:
        return timed(self.forward if word == "forward" else self.backward)

    def forward(self) -> None:
        with torch.no_grad():
            self.run(self.input)

    def backward(self) -> None:
        self.layer.zero_grad()
        for sequence in self.input:
            output = self.run(sequence[None])
            output.backward(output.detach())


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    program, model, *numbers = sys.argv[1:]
    block, sequences, length, threads, rounds = map(int, numbers)
    torch.set_num_threads(threads)
    logging.disable_progress_bar()
    sides = {
        "crvq": Ours([program, model, *map(str, (block, sequences, length, threads))]),
        "PyTorch": Theirs(model, block, sequences, length),
    }
    print(f"block {block} of {model}, {sequences} x {length} tokens, {threads} threads, median of {rounds} turns")
    for word, title in (("forward", "forward"), ("backward", "forward and backward")):
        turns: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(rounds + 1):
            for name, side in sides.items():
                seconds = side.seconds(word)
                if turn:  # The first is for warming up.
                    turns[name].append(seconds)
        rates = {name: sequences * length / statistics.median(seconds) for name, seconds in turns.items()}
        ratio = statistics.median(theirs / ours for ours, theirs in zip(*turns.values()))
        print(f"{title:22}" + "".join(f" {name} {rate:7.0f} tokens/s  " for name, rate in rates.items()) + f" ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
