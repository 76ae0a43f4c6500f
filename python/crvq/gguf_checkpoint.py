"""Turns a GGUF file of the Llama architecture into a Hugging Face directory with float16 weights.

Names, row order and tokenizer are those that transformers arrives at when it loads the same file with `gguf_file=`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from crvq.errors import InputError, Parser, run

CONTROL_TOKEN = 3  # tokenizer.ggml.token_type of tokens that never come from text

BLOCK_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
MODEL_TENSORS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def transformers_name(name: str) -> str:
    """`blk.3.attn_q.weight` to `model.layers.3.self_attn.q_proj.weight`."""
    if block := re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name):
        if block[2] in BLOCK_TENSORS:
            return f"model.layers.{block[1]}.{BLOCK_TENSORS[block[2]]}.{block[3]}"
    elif (model := re.fullmatch(r"(\w+)\.(weight|bias)", name)) and model[1] in MODEL_TENSORS:
        return f"{MODEL_TENSORS[model[1]]}.{model[2]}"
    raise InputError(f"tensor {name}: no Llama tensor has this name")


def undo_rope_interleave(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows [heads · head_dim, …] of a query or key projection from llama.cpp's order back to transformers'.

    llama.cpp rotates neighbouring rows (2i, 2i + 1) and its converter interleaves the halves of each head for that;
    transformers rotates row i with row i + head_dim / 2.
    """
    pairs = weight.shape[0] // heads // 2
    return weight.reshape(heads, pairs, 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


class Metadata:
    """The key-value part of a GGUF file."""

    def __init__(self, reader: gguf.GGUFReader) -> None:
        self.fields = reader.fields

    def get(self, key: str, default: Any = None) -> Any:
        field = self.fields.get(key)
        if field is None:
            return default
        part = field.types[0]
        if part == gguf.GGUFValueType.ARRAY:
            values = (field.parts[index] for index in field.data)
            if field.types[-1] == gguf.GGUFValueType.STRING:
                return [bytes(value).decode("utf-8") for value in values]
            return [value.item() for value in values]
        value = field.parts[field.data[0]]
        return bytes(value).decode("utf-8") if part == gguf.GGUFValueType.STRING else value[0].item()

    def require(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise InputError(f"GGUF file has no {key}")
        return value


def shortest_float(value: float) -> float:
    """A float32's value as its shortest decimal: 9.999999747378752e-06 is 1e-05 to every float32 reader."""
    return float(str(np.float32(value)))


def model_config(metadata: Metadata, tied: bool) -> dict[str, Any]:
    """config.json of a LlamaForCausalLM."""
    heads = metadata.require("llama.attention.head_count")
    hidden = metadata.require("llama.embedding_length")
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": metadata.get("tokenizer.ggml.eos_token_id"),
        "head_dim": metadata.get("llama.rope.dimension_count", hidden // heads),
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": metadata.require("llama.feed_forward_length"),
        "max_position_embeddings": metadata.require("llama.context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": metadata.require("llama.block_count"),
        "num_key_value_heads": metadata.get("llama.attention.head_count_kv", heads),
        "pad_token_id": metadata.get("tokenizer.ggml.padding_token_id"),
        "pretraining_tp": 1,
        "rms_norm_eps": shortest_float(metadata.require("llama.attention.layer_norm_rms_epsilon")),
        "rope_scaling": None,
        "rope_theta": shortest_float(metadata.get("llama.rope.freq_base", 10000.0)),
        "tie_word_embeddings": tied,
        "torch_dtype": "float16",
        "use_cache": True,
        "vocab_size": metadata.get("llama.vocab_size") or len(metadata.require("tokenizer.ggml.tokens")),
    }


def refuse_what_is_not_supported(reader: gguf.GGUFReader, metadata: Metadata) -> None:
    """What `model_config` could not say, and readers would leave out without a word."""
    scaling = metadata.get("llama.rope.scaling.type", "none")
    if scaling != "none":
        raise InputError(f"rope scaling {scaling}: scaled rotary embeddings are not supported by this converter")
    for tensor in reader.tensors:
        if tensor.name == "rope_freqs.weight":
            raise InputError("rope_freqs.weight: scaled rotary embeddings are not supported by this converter")
        if tensor.name.endswith(".bias"):
            raise InputError(f"{tensor.name}: biases are not supported by this converter")


def read_weights(reader: gguf.GGUFReader, metadata: Metadata) -> dict[str, np.ndarray]:
    """All tensors, dequantized, under transformers' names in float16."""
    heads = metadata.require("llama.attention.head_count")
    key_heads = metadata.get("llama.attention.head_count_kv", heads)
    weights: dict[str, np.ndarray] = {}
    for count, tensor in enumerate(reader.tensors, start=1):
        name = transformers_name(tensor.name)
        # GGUF names the fastest axis first; the dequantized array has the usual order [out, in].
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if ".q_proj." in name:
            weight = undo_rope_interleave(weight, heads)
        elif ".k_proj." in name:
            weight = undo_rope_interleave(weight, key_heads)
        weights[name] = np.ascontiguousarray(weight, dtype=np.float16)
        if not np.isfinite(weights[name]).all():
            raise InputError(f"tensor {tensor.name}: a weight is not finite in float16")
        if count % 50 == 0 or count == len(reader.tensors):
            print(f"dequantized {count} of {len(reader.tensors)} tensors", file=sys.stderr)
    return weights


def build_tokenizer(metadata: Metadata) -> Tokenizer:
    """Byte-level BPE as transformers builds it from the same metadata: GPT-2's split, nothing added in front.

    (llama.cpp's own `smollm` split also cuts digits apart; transformers does not, and the tokens that perplexity is
    measured on were made by transformers.)
    """
    kind = metadata.require("tokenizer.ggml.model")
    if kind != "gpt2":
        raise InputError(f"tokenizer.ggml.model is {kind}; only byte-level BPE (gpt2) can be converted")
    tokens: list[str] = metadata.require("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in metadata.require("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    types = metadata.get("tokenizer.ggml.token_type", [])
    control = [token for token, kind in zip(tokens, types) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    return tokenizer


def special_tokens(metadata: Metadata) -> dict[str, str]:
    """The roles of special tokens, as special_tokens_map.json has them."""
    tokens = metadata.require("tokenizer.ggml.tokens")
    keys = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    ids = {role: metadata.get(f"tokenizer.ggml.{key}_token_id") for role, key in keys.items()}
    return {role: tokens[index] for role, index in ids.items() if index is not None}


def tokenizer_config(metadata: Metadata, config: dict[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json, with the chat template."""
    result: dict[str, Any] = {
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": config["max_position_embeddings"],
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special_tokens(metadata),
    }
    if template := metadata.get("tokenizer.chat_template"):
        result["chat_template"] = template
    return result


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def convert(source: Path, directory: Path) -> None:
    """Writes the files of a Hugging Face directory into `directory`, which exists."""
    try:
        reader = gguf.GGUFReader(source)
    except (ValueError, IndexError, KeyError) as error:
        raise InputError(f"{source}: not a GGUF file: {error}") from error
    metadata = Metadata(reader)
    architecture = metadata.require("general.architecture")
    if architecture != "llama":
        raise InputError(f"{source}: architecture {architecture}; only llama can be converted")
    refuse_what_is_not_supported(reader, metadata)

    weights = read_weights(reader, metadata)
    config = model_config(metadata, tied="lm_head.weight" not in weights)
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "model.safetensors").chmod(0o644)  # safetensors makes it readable by its owner alone
    write_json(directory / "config.json", config)
    ids = ("bos_token_id", "eos_token_id", "pad_token_id")
    write_json(directory / "generation_config.json", {key: config[key] for key in ids if config[key] is not None})

    print("writing the tokenizer", file=sys.stderr)
    build_tokenizer(metadata).save(str(directory / "tokenizer.json"), pretty=False)
    write_json(directory / "tokenizer_config.json", tokenizer_config(metadata, config))
    write_json(directory / "special_tokens_map.json", special_tokens(metadata))


def main() -> None:
    parser = Parser(prog="fetch-model", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("gguf", type=Path)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    convert(arguments.gguf, arguments.directory)


if __name__ == "__main__":
    sys.exit(run("fetch-model", main))
