"""Makes the golden files beside this script: tiny random checkpoints and the logits transformers computes from them.

    python make_golden.py        (needs torch, transformers, safetensors; made with transformers 5.23.0)

Each case is a directory with config.json, model.safetensors (float16) and golden.safetensors: input_ids [sequences, length]
and logits [sequences, length, vocabulary] in float32. Widths are tiny and odd on purpose. backward.safetensors holds the last
block's input, output, a gradient of the output ("upstream") and what autograd makes of it ("grad." and a parameter's name, or
"grad.input"), float32.
"""

import pathlib

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}

# name: (config class, model class, sequences, length, options)
CASES = {
    "mha-untied": (LlamaConfig, LlamaForCausalLM, 2, 13, dict(
        hidden_size=24, intermediate_size=44, num_attention_heads=3, num_key_value_heads=3, tie_word_embeddings=False)),
    "gqa-tied": (LlamaConfig, LlamaForCausalLM, 2, 17, dict(
        hidden_size=32, intermediate_size=52, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True)),
    "mqa-biases": (LlamaConfig, LlamaForCausalLM, 1, 19, dict(
        hidden_size=30, intermediate_size=33, num_attention_heads=6, num_key_value_heads=1, head_dim=8,
        attention_bias=True, mlp_bias=True, tie_word_embeddings=False)),
    "linear-rope": (LlamaConfig, LlamaForCausalLM, 2, 15, dict(
        hidden_size=20, intermediate_size=36, num_attention_heads=2, num_key_value_heads=1, head_dim=14,
        rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0})),
    "llama3-rope": (LlamaConfig, LlamaForCausalLM, 1, 43, dict(
        hidden_size=24, intermediate_size=40, num_attention_heads=2, num_key_value_heads=2, head_dim=16,
        rope_parameters=LLAMA3 | {"rope_theta": 10000.0}, tie_word_embeddings=True)),
    "long": (LlamaConfig, LlamaForCausalLM, 1, 600, dict(
        hidden_size=16, intermediate_size=20, num_attention_heads=2, num_key_value_heads=1, vocab_size=11,
        tie_word_embeddings=True)),
    "mistral": (MistralConfig, MistralForCausalLM, 2, 11, dict(
        hidden_size=24, intermediate_size=40, num_attention_heads=4, num_key_value_heads=2, head_dim=10,
        sliding_window=None)),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, 2, 11, dict(
        hidden_size=24, intermediate_size=40, num_attention_heads=4, num_key_value_heads=2)),
}


def make(name, config_class, model_class, sequences, length, options):
    options = dict(vocab_size=61, num_hidden_layers=2, max_position_embeddings=1024) | options
    generator = torch.Generator().manual_seed(sum(name.encode()))
    model = model_class(config_class(**options, bos_token_id=1, eos_token_id=2)).eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            # Large enough that attention is far from uniform and logits are of the order of one.
            noise = torch.randn(parameter.shape, generator=generator) * (0.3 if parameter.dim() > 1 else 0.2)
            if "norm" in parameter_name:
                noise += 1
            parameter.copy_(noise.half())
    ids = torch.randint(0, options["vocab_size"], (sequences, length), generator=generator)
    with torch.no_grad():
        logits = model(ids).logits
    directory = pathlib.Path(__file__).parent / name
    directory.mkdir(exist_ok=True)
    save_file(backward(model, sequences, min(length, 280), generator), directory / "backward.safetensors")
    model.half().save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    save_file({"input_ids": ids.int(), "logits": logits.contiguous()}, directory / "golden.safetensors")
    print(f"{name}: logits within {logits.abs().max():.2f}")


def backward(model, sequences, length, generator):
    """A forward and backward pass of the last block alone."""
    block = model.model.layers[-1]
    values = torch.randn((sequences, length, model.config.hidden_size), generator=generator).requires_grad_()
    upstream = torch.randn(values.shape, generator=generator)
    rotations = model.model.rotary_emb(values, torch.arange(length)[None])
    output = block(values, position_embeddings=rotations, attention_mask=None)
    output.backward(upstream)
    gradients = {f"grad.{name}": parameter.grad for name, parameter in block.named_parameters()}
    tensors = gradients | {"grad.input": values.grad, "input": values, "upstream": upstream, "output": output}
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


for case, arguments in CASES.items():
    make(case, *arguments)
