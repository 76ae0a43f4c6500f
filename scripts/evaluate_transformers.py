"""Perplexity of a model by transformers: evaluate_transformers.py MODEL TOKENS WINDOWS THREADS; prints one JSON object.

Windows of 2,048 tokens that do not overlap, each predicting its last 2,047. Loading the model is not timed.
"""

import json
import sys
import time

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

path, tokens, windows, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
length = 2048
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
ids = load_file(tokens)["input_ids"]
length = min(length, ids.shape[1])
rows = [row[start : start + length] for row in ids for start in range(0, len(row) - length + 1, length)][:windows]
with torch.inference_mode():
    model(rows[0][None, :256].long())  # the first call sets up threads and kernels
    start, total = time.perf_counter(), 0.0
    for row in rows:
        logits = model(row[None].long()).logits[0, :-1]
        total += torch.nn.functional.cross_entropy(logits, row[1:].long(), reduction="sum").item()
    seconds = time.perf_counter() - start
count = len(rows) * (length - 1)
perplexity = torch.tensor(total / count, dtype=torch.float64).exp().item()
tokens_a_second = len(rows) * length / seconds
print("transformers ", json.dumps({"perplexity": perplexity, "seconds": seconds, "tokens_a_second": tokens_a_second}))
