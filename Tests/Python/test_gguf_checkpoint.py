"""The conversion of a small GGUF file made here, and of the real one against what transformers made of it."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from conftest import ROOT, Run, one_line, run
from crvq.errors import InputError
from crvq.gguf_checkpoint import shortest_float, transformers_name, undo_rope_interleave
from safetensors.numpy import load_file
from tokenizers import Tokenizer

HEADS, KEY_HEADS, HEAD, HIDDEN, MLP = 4, 2, 8, 32, 48
TOKENS = ["<|end|>", *"abcdefgh", "Ġ", "ab"]


def interleave(weight: np.ndarray, heads: int) -> np.ndarray:
    """What llama.cpp's converter does to query and key rows: row i of a half and row i of the other side by side."""
    rows = []
    for head in np.split(weight, heads):
        first, second = np.split(head, 2)
        for pair in zip(first, second):
            rows.extend(pair)
    return np.stack(rows)


def random_weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    shapes = {
        "model.embed_tokens.weight": (len(TOKENS), HIDDEN),
        "model.norm.weight": (HIDDEN,),
        "lm_head.weight": (len(TOKENS), HIDDEN),
        "model.layers.0.input_layernorm.weight": (HIDDEN,),
        "model.layers.0.post_attention_layernorm.weight": (HIDDEN,),
        "model.layers.0.self_attn.q_proj.weight": (HEADS * HEAD, HIDDEN),
        "model.layers.0.self_attn.k_proj.weight": (KEY_HEADS * HEAD, HIDDEN),
        "model.layers.0.self_attn.v_proj.weight": (KEY_HEADS * HEAD, HIDDEN),
        "model.layers.0.self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD),
        "model.layers.0.mlp.gate_proj.weight": (MLP, HIDDEN),
        "model.layers.0.mlp.up_proj.weight": (MLP, HIDDEN),
        "model.layers.0.mlp.down_proj.weight": (HIDDEN, MLP),
    }
    return {name: random.standard_normal(shape).astype(np.float16) for name, shape in shapes.items()}


GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers.0.input_layernorm": "blk.0.attn_norm",
    "model.layers.0.post_attention_layernorm": "blk.0.ffn_norm",
    "model.layers.0.self_attn.q_proj": "blk.0.attn_q",
    "model.layers.0.self_attn.k_proj": "blk.0.attn_k",
    "model.layers.0.self_attn.v_proj": "blk.0.attn_v",
    "model.layers.0.self_attn.o_proj": "blk.0.attn_output",
    "model.layers.0.mlp.gate_proj": "blk.0.ffn_gate",
    "model.layers.0.mlp.up_proj": "blk.0.ffn_up",
    "model.layers.0.mlp.down_proj": "blk.0.ffn_down",
}


def write_gguf(
    path: Path, weights: dict[str, np.ndarray], architecture: str = "llama", scaling: gguf.RopeScalingType | None = None
) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    if scaling is not None:
        writer.add_rope_scaling_type(scaling)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(MLP)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(50_000.0)
    writer.add_rope_dimension_count(HEAD)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] + [1] * (len(TOKENS) - 1))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    for name, weight in weights.items():
        base, kind = name.rsplit(".", 1)
        for projection, heads in (("q_proj", HEADS), ("k_proj", KEY_HEADS)):
            if base.endswith(projection):
                weight = interleave(weight, heads)
        writer.add_tensor(f"{GGUF_NAMES[base]}.{kind}", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def fetch(*arguments: str | Path) -> Run[str]:
    return run(ROOT / "scripts" / "fetch-model", *arguments)


def test_converts_a_small_file(tmp_path: Path) -> None:
    weights = random_weights()
    write_gguf(tmp_path / "small.gguf", weights)
    done = fetch("--gguf", tmp_path / "small.gguf", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    converted = load_file(tmp_path / "out" / "model.safetensors")
    assert converted.keys() == weights.keys()
    for name, weight in weights.items():
        assert converted[name].dtype == np.float16
        assert np.array_equal(converted[name], weight), name

    config = json.loads((tmp_path / "out" / "config.json").read_text())
    expected = {
        "architectures": ["LlamaForCausalLM"],
        "head_dim": HEAD,
        "hidden_size": HIDDEN,
        "intermediate_size": MLP,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "num_hidden_layers": 1,
        "rms_norm_eps": 1e-6,
        "rope_theta": 50_000.0,
        "tie_word_embeddings": False,
        "vocab_size": len(TOKENS),
        "bos_token_id": 0,
    }
    assert {key: config[key] for key in expected} == expected
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert tokenizer.encode("abba <|end|>").tokens == ["ab", "b", "a", "Ġ", "<|end|>"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "small.gguf"]


@pytest.mark.parametrize("scaling", [gguf.RopeScalingType.LINEAR, gguf.RopeScalingType.YARN])
def test_scaled_rotary_embeddings_are_refused(tmp_path: Path, scaling: gguf.RopeScalingType) -> None:
    write_gguf(tmp_path / "small.gguf", random_weights(), scaling=scaling)
    done = convert(tmp_path / "small.gguf", tmp_path / "out")
    assert done.returncode == 65
    assert f"rope scaling {scaling.value}" in one_line(done)
    assert list((tmp_path / "out").iterdir()) == []


def test_biases_are_refused(tmp_path: Path) -> None:
    """Which projections have one is not what transformers' two switches say."""
    bias = {"model.layers.0.self_attn.q_proj.bias": np.ones(HEADS * HEAD, dtype=np.float16)}
    write_gguf(tmp_path / "small.gguf", random_weights() | bias)
    done = convert(tmp_path / "small.gguf", tmp_path / "out")
    assert done.returncode == 65
    assert "blk.0.attn_q.bias: biases are not supported" in one_line(done)


def test_does_nothing_where_a_model_is(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("kept")
    done = fetch(tmp_path)
    assert done.returncode == 0
    assert "is there already" in one_line(done)
    assert (tmp_path / "config.json").read_text() == "kept"


def test_leaves_a_foreign_directory_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = fetch(tmp_path)
    assert done.returncode == 65
    assert "exists and is not a whole model" in one_line(done)


@pytest.mark.parametrize("option", ["--unknown", "--gguf"])
def test_refuses_a_wrong_command_line(option: str) -> None:
    done = fetch(option)
    assert done.returncode == 64
    one_line(done)


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    done = fetch("--gguf", tmp_path / "absent.gguf", tmp_path / "out")
    assert done.returncode == 65
    assert "no such file" in one_line(done)


def convert(source: Path, target: Path) -> Run[str]:
    target.mkdir()
    return run(sys.executable, "-m", "crvq.gguf_checkpoint", source, target, env={"PYTHONPATH": str(ROOT / "python")})


def test_refuses_what_is_not_gguf(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("not a model" * 100)
    done = convert(tmp_path / "text.gguf", tmp_path / "out")
    assert done.returncode == 65
    assert "not a GGUF file" in one_line(done)


def test_refuses_another_architecture(tmp_path: Path) -> None:
    write_gguf(tmp_path / "other.gguf", random_weights(), architecture="gptneox")
    done = convert(tmp_path / "other.gguf", tmp_path / "out")
    assert done.returncode == 65
    assert "architecture gptneox; only llama" in one_line(done)


def test_refuses_a_weight_that_is_not_finite(tmp_path: Path) -> None:
    weights = random_weights()
    weights["model.norm.weight"][3] = np.inf
    write_gguf(tmp_path / "infinite.gguf", weights)
    done = convert(tmp_path / "infinite.gguf", tmp_path / "out")
    assert done.returncode == 65
    assert "output_norm.weight: a weight is not finite" in one_line(done)


def test_names() -> None:
    assert transformers_name("blk.12.ffn_down.weight") == "model.layers.12.mlp.down_proj.weight"
    assert transformers_name("output.weight") == "lm_head.weight"
    with pytest.raises(InputError, match=r"blk\.0\.attn_qkv\.weight"):
        transformers_name("blk.0.attn_qkv.weight")


def test_rope_rows_go_back_in_place() -> None:
    weight = np.arange(48.0).reshape(24, 2)
    assert np.array_equal(undo_rope_interleave(interleave(weight, 3), 3), weight)


def test_shortest_decimal_of_a_float32() -> None:
    assert shortest_float(float(np.float32(1e-5))) == 1e-5


def test_real_weights_are_those_of_transformers(model: Path, golden: dict[str, Any]) -> None:
    digest = hashlib.sha256()
    for name, tensor in sorted(load_file(model / "model.safetensors").items()):
        digest.update(name.encode())
        digest.update(tensor.tobytes())
    assert digest.hexdigest() == golden["weights_sha256"]


def test_real_tokenizer_is_that_of_transformers(model: Path, golden: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    for case in golden["texts"]:
        assert tokenizer.encode(case["text"]).ids == case["ids"], case["text"]
