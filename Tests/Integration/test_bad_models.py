"""Models that are not what they should be: one line that names the file, exit code 65, and nothing left behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from checkpoints import (
    EMBEDDINGS,
    INDEX,
    SMALL,
    WEIGHTS,
    add_tensor,
    change_config,
    change_header,
    change_tensor,
    write_model,
)
from jobs import LOCAL, Evaluation, Inputs, Job
from processes import last_line, only_line, succeeded

MakeJob = Callable[..., Job]
Damage = Callable[[Path], Any]

Q_PROJ = "model.layers.1.self_attn.q_proj.weight"
NORM = "model.norm.weight"
MISTRAL = {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
QWEN2 = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}


def header(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """Damage to the header of the model's one file."""

    def edit(text: str) -> str:
        tensors = json.loads(text)
        change(tensors)
        return json.dumps(tensors)

    return lambda model: change_header(model / WEIGHTS, edit)


def beyond_the_end(tensors: dict[str, Any]) -> None:
    """The last tensor goes on behind the end of the file, as its shape says."""
    last = max((value for key, value in tensors.items() if key != "__metadata__"), key=lambda t: t["data_offsets"])
    start = last["data_offsets"][0]
    last.update(shape=[1 << 40], data_offsets=[start, start + (2 << 40)])


def weights_length(model: Path, length: int) -> None:
    path = model / WEIGHTS
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])


def duplicate_name(model: Path) -> None:
    change_header(model / WEIGHTS, lambda text: text.replace(f'"{NORM}":', f'"{Q_PROJ}":'))


def sharded(model: Path) -> dict[str, str]:
    """Turns the model into one of three shards; the index's map."""
    shutil.rmtree(model)
    write_model(model, SMALL, shards=3)
    return json.loads((model / INDEX).read_text())["weight_map"]


def missing_shard(model: Path) -> None:
    sharded(model)
    (model / "model-00002-of-00003.safetensors").unlink()


def misplaced_tensor(model: Path) -> None:
    weight_map = sharded(model)
    names = set(weight_map.values())
    weight_map[Q_PROJ] = min(names - {weight_map[Q_PROJ]})
    (model / INDEX).write_text(json.dumps({"weight_map": weight_map}))


def shard_elsewhere(model: Path) -> None:
    weight_map = sharded(model)
    weight_map[Q_PROJ] = "../" + weight_map[Q_PROJ]
    (model / INDEX).write_text(json.dumps({"weight_map": weight_map}))


DAMAGE: dict[str, tuple[Damage, list[str]]] = {
    "missing directory": (shutil.rmtree, ["model/config.json", "no such file"]),
    "empty directory": (lambda m: [path.unlink() for path in m.iterdir()], ["model/config.json", "no such file"]),
    "no weights": (lambda m: (m / WEIGHTS).unlink(), ["model: no weights", WEIGHTS, INDEX]),
    "config is no JSON": (lambda m: (m / "config.json").write_text("{"), ["config.json"]),
    "config without a size": (lambda m: change_config(m, hidden_size=None), ["config.json", "hidden_size", "got null"]),
    "unknown architecture": (
        lambda m: change_config(m, architectures=["GPTNeoXForCausalLM"]),
        ["config.json", "GPTNeoXForCausalLM", "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM"],
    ),
    "a model type of another architecture": (
        lambda m: change_config(m, model_type="qwen2"),
        ["config.json: model_type: expected llama", "LlamaForCausalLM", '"qwen2"'],
    ),
    "an embedding for each type of layer": (
        lambda m: change_config(m, rope_parameters={"full_attention": {"rope_type": "linear", "factor": 4.0}}),
        ["config.json: rope_parameters.full_attention: expected one rotary embedding for all layers, got {"],
    ),
    "another head beside tied embeddings": (
        lambda m: add_tensor(m, "lm_head.weight", lambda tensors: tensors[EMBEDDINGS][::-1].copy()),
        [f"{WEIGHTS}: tensor lm_head.weight: expected the values of {EMBEDDINGS}", "got others in row 0"],
    ),
    "a window of no tokens": (
        lambda m: change_config(m, **MISTRAL, sliding_window=0),
        ["config.json: sliding_window: expected a whole number from 1", "got 0"],
    ),
    "a window that is no number": (
        lambda m: change_config(m, **MISTRAL, sliding_window="4k"),
        ["config.json: sliding_window: expected a whole number", '"4k"'],
    ),
    "a window that may be there": (
        lambda m: change_config(m, **QWEN2, use_sliding_window="yes"),
        ["config.json: use_sliding_window: expected true or false", '"yes"'],
    ),
    "quantized by others": (
        lambda m: change_config(m, quantization_config={"quant_method": "gptq", "bits": 4}),
        ["model: is packed itself", "quantization_config", "--model takes the original"],
    ),
    "heads that do not divide": (lambda m: change_config(m, num_key_value_heads=3), ["num_key_value_heads", "3"]),
    "missing shard": (missing_shard, ["model-00002-of-00003.safetensors", "no such file", INDEX]),
    "misplaced tensor": (misplaced_tensor, [Q_PROJ, "model-00001-of-00003.safetensors", INDEX]),
    "shard outside the directory": (shard_elsewhere, [INDEX, Q_PROJ, "../"]),
    "header longer than the file": (lambda m: weights_length(m, 1 << 24), [WEIGHTS, "16777216"]),
    "header length of 2^63": (lambda m: weights_length(m, 1 << 63), [WEIGHTS, "9223372036854775808"]),
    "header that is no JSON": (lambda m: change_header(m / WEIGHTS, lambda text: text[1:]), [WEIGHTS]),
    "file cut short": (
        lambda m: (m / WEIGHTS).write_bytes((m / WEIGHTS).read_bytes()[:-100]),
        [WEIGHTS],
    ),
    "offsets out of range": (header(beyond_the_end), [WEIGHTS, ".weight", "file cut short", "2199023"]),
    "offsets with a gap": (
        header(lambda t: t[Q_PROJ].update(data_offsets=[1 << 40, (1 << 40) + 8192])),
        [WEIGHTS, "8192 bytes", "belong to no tensor"],
    ),
    "overlapping offsets": (
        header(lambda t: t[Q_PROJ].update(data_offsets=t["model.layers.0.self_attn.q_proj.weight"]["data_offsets"])),
        [WEIGHTS, "self_attn.q_proj.weight"],
    ),
    "duplicate names": (duplicate_name, [WEIGHTS, Q_PROJ]),
    "unknown dtype": (header(lambda t: t[Q_PROJ].update(dtype="F12")), [WEIGHTS, Q_PROJ, "F12"]),
    "shape that overflows": (
        header(lambda t: t[Q_PROJ].update(shape=[1 << 62, 1 << 62])),
        [WEIGHTS, Q_PROJ, str(1 << 62)],
    ),
    "shape that does not fit the bytes": (header(lambda t: t[Q_PROJ].update(shape=[64, 63])), [WEIGHTS, Q_PROJ]),
    "linear of a wrong shape": (
        lambda m: change_tensor(m, Q_PROJ, lambda weight: np.ascontiguousarray(weight[:, :-8])),
        [WEIGHTS, Q_PROJ, "[64, 64]", "[64, 56]"],
    ),
    "a name that packed linears have": (
        lambda m: add_tensor(m, Q_PROJ.replace("weight", "scales"), lambda tensors: tensors[NORM]),
        [WEIGHTS, "tensor model.layers.1.self_attn.q_proj.scales", "packed linear"],
    ),
    "a name that makes a packed linear": (
        lambda m: add_tensor(m, "other.codes", lambda tensors: tensors[NORM]),
        [WEIGHTS, "tensor other.codes", "packed linear"],
    ),
    "a tokenizer that is a directory": (lambda m: (m / "tokenizer.json").mkdir(), ["model/tokenizer.json: expected a file"]),
    "a tokenizer that is not there": (
        lambda m: (m / "tokenizer.json").symlink_to("blobs/none"),
        ["model/tokenizer.json: expected a file, got a symbolic link to nothing"],
    ),
    "missing linear": (header(lambda t: t.update({"other": t.pop(Q_PROJ)})), [Q_PROJ]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_launch_refuses(copies: Inputs, make_job: MakeJob, damage: str) -> None:
    """And so does a dry run: configuration and headers are read for it, and a head that should be the embeddings."""
    spoil, fragments = DAMAGE[damage]
    spoil(copies.model)
    job = make_job(copies)
    for options in ([], ["--dry-run"]):
        done = job.run(*LOCAL, "1", *options)
        assert done.returncode == 65
        line = only_line(done)
        assert line.startswith(f"crvq-coord: {copies.model}"), line
        for fragment in fragments:
            assert fragment in line, line
        assert list(job.directory.iterdir()) == []


def test_a_packed_model_is_not_packed_again(small_result: Job, make_job: MakeJob) -> None:
    job = make_job(Inputs(small_result.output, small_result.inputs.tokens))
    for options in ([], ["--dry-run"]):
        done = job.run(*LOCAL, "1", *options)
        assert done.returncode == 65
        line = only_line(done)
        assert line.startswith(f"crvq-coord: {small_result.output}: is packed itself"), line
        assert line.endswith("; --model takes the original"), line
        assert list(job.directory.iterdir()) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_worker_finds_a_weight_that_is_no_number(copies: Inputs, make_job: MakeJob, value: float) -> None:
    """The coordinator reads no block's weights: the job begins, and stops for everybody."""

    def spoil(weight: np.ndarray) -> np.ndarray:
        weight[3, 5] = value
        return weight

    change_tensor(copies.model, Q_PROJ, spoil)
    job = make_job(copies)
    done = job.run(*LOCAL, "2", "--json")
    assert done.returncode == 65
    assert done.stdout == ""
    line = last_line(done)
    assert Q_PROJ in line and WEIGHTS in line, line
    assert done.stderr.count(Q_PROJ) == 1
    assert not job.output.exists()
    assert job.status()["state"] == "failed"


def test_a_weight_too_large_to_be_packed_is_named(copies: Inputs, make_job: MakeJob) -> None:
    change_tensor(copies.model, Q_PROJ, lambda weight: np.where(weight == weight.max(), np.float16(65504), weight))
    done = make_job(copies).run(*LOCAL, "1")
    assert done.returncode == 65
    line = last_line(done)
    assert f"{WEIGHTS}: tensor {Q_PROJ}: weight[" in line and "at most 32752.0" in line, line


@pytest.mark.parametrize("option", ["--tune-epochs", "--distill-epochs"])
def test_a_norm_too_large_to_be_tuned_is_named(copies: Inputs, make_job: MakeJob, option: str) -> None:
    """What is only copied may have it."""
    name = "model.layers.1.input_layernorm.weight"
    change_tensor(copies.model, name, lambda norm: np.append(norm[:-1].astype(np.float32), np.float32(7e4)))
    done = make_job(copies).run(*LOCAL, "1", option, "1")
    assert done.returncode == 65
    line = only_line(done)
    assert f"{WEIGHTS}: tensor {name}: 70000.0 at [63]; expected what float16 holds, 65504 at most" in line
    succeeded(make_job(copies).run(*LOCAL, "1"))


def test_tensors_that_are_not_read_are_said(copies: Inputs, make_job: MakeJob) -> None:
    """The configuration does not speak of these biases. Frequencies, which older checkpoints have, go without saying."""
    for name in ("q_proj.bias", "k_proj.bias", "rotary_emb.inv_freq"):
        add_tensor(copies.model, f"model.layers.1.self_attn.{name}", lambda _: np.ones(8, np.float16))
    job = make_job(copies)
    path = "model.layers.1.self_attn"
    said = f"{path}.k_proj.bias, {path}.q_proj.bias are not of LlamaForCausalLM as config.json describes it, and not used"
    evaluation = Evaluation(job.programs, copies.model, copies.tokens)
    for done in (job.run(*LOCAL, "1"), evaluation.run(), evaluation.run(*LOCAL, "1")):
        assert succeeded(done).stderr.count(said) == 1


@pytest.mark.parametrize("name", [NORM, EMBEDDINGS])
def test_launch_finds_what_is_no_number_outside_the_blocks(copies: Inputs, make_job: MakeJob, name: str) -> None:
    def spoil(values: np.ndarray) -> np.ndarray:
        values[-1] = np.inf
        return values

    change_tensor(copies.model, name, spoil)
    job = make_job(copies)
    done = job.run(*LOCAL, "1")
    assert done.returncode == 65
    assert f"{WEIGHTS}: tensor {name}: expected finite values, got inf at [" in only_line(done)
    assert list(job.directory.iterdir()) == []


@pytest.mark.parametrize("command", ["inspect", "verify", "evaluate", "export"])
def test_commands_on_models_at_rest_refuse_a_damaged_one(
    copies: Inputs, small_result: Job, make_job: MakeJob, tmp_path: Path, command: str
) -> None:
    packed = tmp_path / "packed"
    shutil.copytree(small_result.output, packed)
    (weights,) = packed.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-8])
    arguments = {
        "inspect": ["--quantized", packed],
        "verify": ["--model", copies.model, "--quantized", packed],
        "evaluate": ["--model", packed, "--tokens", copies.tokens, "--window", "32"],
        "export": ["--quantized", packed, "--output", tmp_path / "plain"],
    }
    done = make_job(copies).programs.run(command, *arguments[command])
    assert done.returncode == 65
    assert only_line(done).startswith(f"crvq-coord: {weights}: ")
    assert not (tmp_path / "plain").exists()
