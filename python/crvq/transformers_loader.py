"""Loads a packed model into transformers, dequantized at load time (needs torch and transformers).

>>> from crvq.transformers_loader import load
>>> model = load("OUT")  # a LlamaForCausalLM with float32 weights
>>> tokenizer = transformers.AutoTokenizer.from_pretrained("OUT")
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PretrainedConfig, PreTrainedModel
from transformers.utils import GENERATION_CONFIG_NAME

from crvq.errors import InputError
from crvq.packed import PackedModel

HEAD, EMBEDDINGS = "lm_head.weight", "model.embed_tokens.weight"


def plain_config(packed: PackedModel) -> PretrainedConfig:
    """The model's configuration without the part that says it is packed, which transformers does not know."""
    values = {key: value for key, value in packed.config.items() if key != "quantization_config"}
    model_type = values.pop("model_type", None)
    if not isinstance(model_type, str):
        raise InputError(f"{packed.directory / 'config.json'}: no model_type")
    return AutoConfig.for_model(model_type, **values)


def generation_config(packed: PackedModel) -> GenerationConfig | None:
    """How the model's makers want it to write, where it stops, say; None where they do not say."""
    path = packed.directory / GENERATION_CONFIG_NAME
    if not path.is_file():
        return None
    try:
        return GenerationConfig.from_pretrained(packed.directory)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from error


def state_dict(packed: PackedModel, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """All weights under transformers' names."""
    state = {name: packed.tensor(name, "pt").to(dtype) for name in packed.plain_tensors}
    for name in packed.linears:
        state[f"{name}.weight"] = torch.from_numpy(packed.decode(name)).to(dtype)
    return state


def refuse_another_head(packed: PackedModel) -> None:
    """Of a model whose head is its embedding matrix, that no other head is stored: one of them would be lost."""
    if HEAD not in packed.files or EMBEDDINGS not in packed.files:
        return
    head, embeddings = (packed.tensor(name, "pt").float() for name in (HEAD, EMBEDDINGS))
    if not torch.equal(head, embeddings):
        raise InputError(
            f"{packed.files[HEAD]}: tensor {HEAD}: expected the values of {EMBEDDINGS}, as tie_word_embeddings in "
            "config.json says, got others; set it to false, or remove the tensor"
        )


def named(tensors: list[str]) -> str:
    """Tensors as the subject of a sentence: "a, b, c and 4 more are"."""
    more = f" and {len(tensors) - 3} more" if len(tensors) > 3 else ""
    return f"{', '.join(tensors[:3])}{more} {'is' if len(tensors) == 1 else 'are'}"


def load(directory: Path | str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The model of a packed directory, ready for inference.

    Raises InputError for a directory that is not a packed model or that lacks tensors of its architecture; warns of tensors that
    the architecture has no use for.
    """
    packed = PackedModel(directory)
    _ = packed.format  # refuses a directory that is not packed before anything is built
    config = plain_config(packed)
    if config.tie_word_embeddings:
        refuse_another_head(packed)
    generation = generation_config(packed)
    model = AutoModelForCausalLM.from_config(config)
    # Not model.to(dtype): it would round the rotary frequencies as well, which are a buffer.
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    try:
        missing, unexpected = model.load_state_dict(state_dict(packed, dtype), strict=False)
    except RuntimeError as error:
        raise InputError(f"{directory}: {' '.join(str(error).split())}") from error
    tied = set(getattr(model, "_tied_weights_keys", None) or ()) if model.config.tie_word_embeddings else set()
    missing = [name for name in missing if name not in tied]
    # Older checkpoints have what newer models compute.
    unexpected = [name for name in unexpected if not name.endswith(".rotary_emb.inv_freq")]
    if missing:
        raise InputError(f"{directory}: expected the tensors of {config.architectures}, {named(missing)} missing")
    if unexpected:
        warnings.warn(f"{directory}: {named(unexpected)} not of {config.architectures}, and not used", stacklevel=2)
    model.tie_weights()
    if generation is not None:
        model.generation_config = generation
    return model.eval()
