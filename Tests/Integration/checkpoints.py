"""Small random checkpoints, of Llama unless told otherwise, and token files, whole or damaged on purpose."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save, save_file


@dataclass(frozen=True)
class Shape:
    """What a model is. 100 channels feed down_proj: no multiple of 8, its last group is padded."""

    hidden: int = 64
    mlp: int = 100
    heads: int = 4
    key_heads: int = 2
    head: int = 16
    blocks: int = 2
    vocabulary: int = 128
    # Llama, Mistral or Qwen2.
    architecture: str = "Llama"
    dtype: str = "float16"

    @property
    def biased(self) -> list[str]:
        """Linears of a block that have biases, as their configuration does not say."""
        return [f"self_attn.{name}_proj" for name in "qkv"] if self.architecture == "Qwen2" else []

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """[out, in] of each linear of a block."""
        queries, keys = self.heads * self.head, self.key_heads * self.head
        return {
            "self_attn.q_proj": (queries, self.hidden),
            "self_attn.k_proj": (keys, self.hidden),
            "self_attn.v_proj": (keys, self.hidden),
            "self_attn.o_proj": (self.hidden, queries),
            "mlp.gate_proj": (self.mlp, self.hidden),
            "mlp.up_proj": (self.mlp, self.hidden),
            "mlp.down_proj": (self.hidden, self.mlp),
        }

    def config(self, ties_embeddings: bool = True) -> dict[str, Any]:
        return {
            "architectures": [f"{self.architecture}ForCausalLM"],
            "model_type": self.architecture.lower(),
            "hidden_act": "silu",
            "hidden_size": self.hidden,
            "intermediate_size": self.mlp,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_heads,
            "head_dim": self.head,
            "num_hidden_layers": self.blocks,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10_000.0,
            "tie_word_embeddings": ties_embeddings,
            "torch_dtype": self.dtype,
        }


SMALL = Shape()
TINY = Shape(hidden=16, mlp=24, heads=2, key_heads=1, head=8, blocks=2, vocabulary=32)
# Two single-threaded workers need about two seconds for it: long enough to be interrupted behind a gate.
LONG = Shape(hidden=128, mlp=352, heads=8, key_heads=2, head=16, blocks=8)
# Where no gate can stand between and keep the job from its end.
LASTING = replace(LONG, blocks=16)

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
EMBEDDINGS = "model.embed_tokens.weight"


def block_tensors(shape: Shape, random: np.random.Generator) -> dict[str, np.ndarray]:
    """The tensors of all blocks."""
    tensors = {}
    for block in range(shape.blocks):
        prefix = f"model.layers.{block}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{prefix}.{norm}.weight"] = random.uniform(0.5, 2, shape.hidden).astype(np.float16)
        for name, (rows, columns) in shape.linears.items():
            weight = random.standard_normal((rows, columns)) / np.sqrt(columns)
            tensors[f"{prefix}.{name}.weight"] = weight.astype(np.float16)
        for name in shape.biased:
            bias = random.standard_normal(shape.linears[name][0])
            tensors[f"{prefix}.{name}.bias"] = bias.astype(np.float16)
    return tensors


def model_tensors(shape: Shape, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    embeddings = random.standard_normal((shape.vocabulary, shape.hidden)).astype(np.float16)
    return {
        EMBEDDINGS: embeddings,
        "model.norm.weight": np.ones(shape.hidden, np.float16),
        **block_tensors(shape, random),
    }


def write_model(directory: Path, shape: Shape = SMALL, seed: int = 7, shards: int = 1) -> Path:
    """A model directory; with more than one shard, the tensors are dealt out and an index lists them."""
    directory.mkdir()
    tensors = model_tensors(shape, seed)
    if shape.dtype == "bfloat16":
        save_bfloat16(tensors, directory / WEIGHTS)
    elif shards == 1:
        save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    else:
        write_shards(directory, tensors, shards)
    (directory / "config.json").write_text(json.dumps(shape.config()))
    return directory


def save_bfloat16(tensors: dict[str, np.ndarray], path: Path) -> None:
    """The upper halves of float32: a type that numpy does not know."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        start, data = len(data), data + (tensor.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [start, len(data)]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_shards(directory: Path, tensors: dict[str, np.ndarray], count: int) -> None:
    files: dict[str, dict[str, np.ndarray]] = {}
    for number, (name, tensor) in enumerate(tensors.items()):
        files.setdefault(f"model-{number % count + 1:05}-of-{count:05}.safetensors", {})[name] = tensor
    for file, part in files.items():
        save_file(part, directory / file, metadata={"format": "pt"})
    weight_map = {name: file for file, part in files.items() for name in part}
    (directory / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def write_large_model(directory: Path, shape: Shape, used: int) -> Path:
    """An untied model nearly all of which is embeddings and head; rows of the embeddings from `used` on are zero.

    The file is sparse: it takes little space on disk, and as much memory as any other of its size in a careless reader.
    """
    random = np.random.default_rng(7)
    blocks = {"model.norm.weight": np.ones(shape.hidden, np.float16), **block_tensors(shape, random)}
    embeddings = random.standard_normal((used, shape.hidden)).astype(np.float16)
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in blocks.items():
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [end, end + tensor.nbytes]}
        end += tensor.nbytes
    size = shape.vocabulary * shape.hidden * 2
    for name in (EMBEDDINGS, "lm_head.weight"):
        header[name] = {
            "dtype": "F16",
            "shape": [shape.vocabulary, shape.hidden],
            "data_offsets": [end, end + size],
        }
        end += size
    directory.mkdir()
    with (directory / WEIGHTS).open("wb") as file:
        text = json.dumps(header).encode()
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in blocks.values():
            file.write(tensor.tobytes())
        file.write(embeddings.tobytes())
        file.truncate(8 + len(text) + end)
    (directory / "config.json").write_text(json.dumps(shape.config(ties_embeddings=False)))
    return directory


def change_config(directory: Path, **values: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_tensor(directory: Path, name: str, change: Any) -> None:
    """Replaces a tensor of a model in one file by what `change` makes of it. Whoever has the file open sees it."""
    add_tensor(directory, name, lambda tensors: change(tensors[name]))


def add_tensor(directory: Path, name: str, tensor: Callable[[dict[str, np.ndarray]], np.ndarray]) -> None:
    """Adds to a model in one file what `tensor` makes of those that are there. Whoever has the file open sees it."""
    tensors = load_file(directory / WEIGHTS)
    tensors[name] = tensor(tensors)
    (directory / WEIGHTS).write_bytes(save(tensors, metadata={"format": "pt"}))


def change_header(path: Path, change: Any) -> None:
    """Replaces a safetensors file's header text by what `change` makes of it; the data stay as they are."""
    bytes_ = path.read_bytes()
    (length,) = struct.unpack_from("<Q", bytes_)
    text = change(bytes_[8 : 8 + length].decode()).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes_[8 + length :])


def write_tokens(path: Path, sequences: int = 16, length: int = 64, vocabulary: int = 128, seed: int = 11) -> Path:
    tokens = np.random.default_rng(seed).integers(0, vocabulary, (sequences, length))
    save_file({"input_ids": tokens.astype(np.int32)}, path)
    return path
