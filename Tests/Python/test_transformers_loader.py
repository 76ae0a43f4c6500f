"""The loader for transformers on a packed model made here; needs torch and transformers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from crvq.packed import Checkpoint, PackedFormat, PackedModel, pack_codes
from safetensors.numpy import load_file, save_file
from small_model import write_model

torch = pytest.importorskip("torch", reason="torch is not installed (scripts/setup --golden)")
pytest.importorskip("transformers", reason="transformers is not installed (scripts/setup --golden)")

FORMAT = PackedFormat(8, (5, 3), 0.25)


def pack_at_random(original: Checkpoint, directory: Path) -> None:
    """A packed directory with random codes of the original's shapes."""
    random = np.random.default_rng(3)
    tensors = {}
    for name in original.files:
        tensor = original.tensor(name)
        if "proj" not in name:
            tensors[name] = tensor
            continue
        prefix, (rows, columns) = name[: -len(".weight")], tensor.shape
        groups, critical = FORMAT.groups(columns), FORMAT.critical_groups(columns)
        tensors[f"{prefix}.codes"] = pack_codes(random.integers(0, 32, (rows, groups)), 5)
        tensors[f"{prefix}.critical_codes"] = pack_codes(random.integers(0, 8, (1, rows, critical)), 3)
        tensors[f"{prefix}.codebooks"] = random.standard_normal((40, 8)).astype(np.float16)
        tensors[f"{prefix}.scales"] = random.uniform(0.1, 0.2, rows).astype(np.float16)
        tensors[f"{prefix}.channel_order"] = random.permutation(columns).astype(np.uint16)
    directory.mkdir()
    save_file(tensors, directory / "model.safetensors")
    quantization = {"quant_method": "crvq", "format_version": 1, "group_size": 8, "codebook_bits": [5, 3]}
    config = {**original.config, "quantization_config": {**quantization, "critical_ratio": 0.25}}
    (directory / "config.json").write_text(json.dumps(config))


def test_loads_the_decoded_weights(tmp_path: Path) -> None:
    from crvq.transformers_loader import load

    write_model(tmp_path / "model")
    pack_at_random(Checkpoint(tmp_path / "model"), tmp_path / "packed")
    packed = PackedModel(tmp_path / "packed")
    model = load(tmp_path / "packed")
    state = model.state_dict()
    for name in packed.linears:
        assert np.array_equal(state[f"{name}.weight"].numpy(), packed.decode(name).astype(np.float32)), name
    for name in packed.plain_tensors:
        assert np.array_equal(state[name].numpy(), packed.tensor(name).astype(np.float32)), name
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    with torch.no_grad():
        logits = model(torch.tensor([[1, 2, 3]])).logits
    assert logits.shape == (1, 3, 200)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_types_are_of_the_weights_alone(tmp_path: Path, dtype: torch.dtype) -> None:
    """Angles of positions must not be rounded: at a thousand they would be wrong by half a radian."""
    from crvq.transformers_loader import load

    write_model(tmp_path / "model")
    pack_at_random(Checkpoint(tmp_path / "model"), tmp_path / "packed")
    whole, rounded = load(tmp_path / "packed"), load(tmp_path / "packed", dtype)
    assert {parameter.dtype for parameter in rounded.parameters()} == {dtype}
    assert torch.equal(rounded.model.rotary_emb.inv_freq, whole.model.rotary_emb.inv_freq)


def test_the_makers_settings_of_generation_count(tmp_path: Path) -> None:
    from crvq.errors import InputError
    from crvq.transformers_loader import load

    write_model(tmp_path / "model")
    pack_at_random(Checkpoint(tmp_path / "model"), tmp_path / "packed")
    assert load(tmp_path / "packed").generation_config.eos_token_id != [5, 6]
    (tmp_path / "packed" / "generation_config.json").write_text(json.dumps({"eos_token_id": [5, 6], "do_sample": True}))
    settings = load(tmp_path / "packed").generation_config
    assert (settings.eos_token_id, settings.do_sample) == ([5, 6], True)
    (tmp_path / "packed" / "generation_config.json").write_text("{")
    with pytest.raises(InputError, match="generation_config.json: "):
        load(tmp_path / "packed")


def test_refuses_a_model_that_is_not_packed(tmp_path: Path) -> None:
    from crvq.errors import InputError
    from crvq.transformers_loader import load

    write_model(tmp_path / "model")
    with pytest.raises(InputError, match="quant_method is None"):
        load(tmp_path / "model")


def test_tensors_of_no_use_are_passed_over_and_missing_ones_named(tmp_path: Path) -> None:
    from crvq.errors import InputError
    from crvq.transformers_loader import load

    write_model(tmp_path / "model")
    pack_at_random(Checkpoint(tmp_path / "model"), tmp_path / "packed")
    weights = tmp_path / "packed" / "model.safetensors"
    tensors = load_file(weights)
    save_file({**tensors, "other.weight": tensors["model.norm.weight"]}, weights)
    with pytest.warns(UserWarning, match=r"packed: other\.weight is not of \['LlamaForCausalLM'\], and not used"):
        load(tmp_path / "packed")
    del tensors["model.norm.weight"]
    save_file(tensors, weights)
    with pytest.raises(InputError, match=r"packed: .*LlamaForCausalLM.*, model\.norm\.weight is missing"):
        load(tmp_path / "packed")
