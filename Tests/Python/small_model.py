"""A random Llama checkpoint of a few thousand weights, and tokens for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

HIDDEN, MLP, HEADS, KEY_HEADS, HEAD, BLOCKS, VOCABULARY = 48, 100, 6, 2, 8, 2, 200
LINEARS = 7 * BLOCKS


def write_model(directory: Path, seed: int = 7) -> None:
    """100 channels feed down_proj: not a multiple of 8, so that its last group is padded."""
    random = np.random.default_rng(seed)

    def weight(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float16)

    tensors = {
        "model.embed_tokens.weight": weight(VOCABULARY, HIDDEN),
        "model.norm.weight": np.ones(HIDDEN, np.float16),
    }
    for block in range(BLOCKS):
        prefix = f"model.layers.{block}"
        tensors |= {
            f"{prefix}.input_layernorm.weight": random.uniform(0.5, 2, HIDDEN).astype(np.float16),
            f"{prefix}.post_attention_layernorm.weight": random.uniform(0.5, 2, HIDDEN).astype(np.float16),
            f"{prefix}.self_attn.q_proj.weight": weight(HEADS * HEAD, HIDDEN),
            f"{prefix}.self_attn.k_proj.weight": weight(KEY_HEADS * HEAD, HIDDEN),
            f"{prefix}.self_attn.v_proj.weight": weight(KEY_HEADS * HEAD, HIDDEN),
            f"{prefix}.self_attn.o_proj.weight": weight(HIDDEN, HEADS * HEAD),
            f"{prefix}.mlp.gate_proj.weight": weight(MLP, HIDDEN),
            f"{prefix}.mlp.up_proj.weight": weight(MLP, HIDDEN),
            f"{prefix}.mlp.down_proj.weight": weight(HIDDEN, MLP),
        }
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": MLP,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "head_dim": HEAD,
        "num_hidden_layers": BLOCKS,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "torch_dtype": "float16",
    }
    directory.mkdir()
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps(config))


def write_tokens(path: Path, sequences: int, length: int, seed: int = 11) -> None:
    tokens = np.random.default_rng(seed).integers(0, VOCABULARY, (sequences, length))
    save_file({"input_ids": tokens.astype(np.int32)}, path)
