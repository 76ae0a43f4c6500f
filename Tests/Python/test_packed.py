"""The numpy decoder against a reader that follows the format's description bit by bit."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from crvq.errors import InputError
from crvq.packed import Checkpoint, PackedFormat, PackedLinear, PackedModel, pack_codes, row_bytes, unpack_codes
from safetensors.numpy import save_file

CASES = {
    "one byte a code": (8, (8, 8, 8, 8), 0.02, 12, 800),
    "no critical group": (8, (8, 8), 0.02, 5, 64),
    "one codebook": (8, (8,), 0.5, 5, 64),
    "codes of five bits": (8, (5, 5, 5), 0.25, 7, 96),
    "codes of many lengths": (4, (12, 1, 7, 3), 0.5, 6, 44),
    "every channel critical": (16, (6, 6), 1.0, 3, 64),
    "padded": (8, (8, 4), 0.5, 4, 61),
    "padded and all critical": (16, (3, 3), 1.0, 2, 37),
    "fewer channels than a group": (16, (8, 8), 1.0, 3, 5),
    "more channels than uint16 holds": (8, (8, 8), 0.001, 1, 70_001),
}


def random_linear(case: str, seed: int = 1) -> PackedLinear:
    size, bits, ratio, rows, columns = CASES[case]
    form = PackedFormat(size, bits, ratio)
    random = np.random.default_rng(seed)
    stored, groups, critical = form.stored_bits(columns), form.groups(columns), form.critical_groups(columns)
    codes = [random.integers(0, 1 << e, (rows, critical if j else groups)) for j, e in enumerate(stored)]
    pieces = [pack_codes(list_, e) for list_, e in zip(codes[1:], stored[1:])]
    critical_codes = None
    if critical:
        same = len(set(stored[1:])) == 1
        critical_codes = np.stack(pieces) if same else np.concatenate([piece.reshape(-1) for piece in pieces])
    codebooks = random.standard_normal((sum(1 << e for e in stored), size)).astype(np.float16)
    codebooks.reshape(-1)[::7] *= np.float16(1e-4)  # subnormal results
    codebooks.reshape(-1)[::11] *= np.float16(1e4)  # overflow to infinity
    order_type = np.uint16 if columns <= 65_535 else np.uint32
    return PackedLinear(
        "layer",
        form,
        pack_codes(codes[0], stored[0]),
        critical_codes,
        codebooks,
        random.uniform(0.01, 4, rows).astype(np.float16),
        random.permutation(columns).astype(order_type),
    )


def code_at(row: np.ndarray, index: int, bits: int) -> int:
    """Code `index` of one packed row, one bit after another."""
    code = 0
    for b in range(bits):
        position = index * bits + b
        code |= (int(row[position // 8]) >> (position % 8) & 1) << b
    return code


def decode_naively(linear: PackedLinear) -> np.ndarray:
    """The description's four steps, one weight at a time."""
    d, bits = linear.format.group_size, linear.format.codebook_bits
    rows, columns = linear.rows, linear.columns
    critical = 0 if len(bits) == 1 else math.floor(linear.format.critical_ratio * columns / d + 1e-9)
    bits = bits if critical else bits[:1]
    flat = b"" if linear.critical_codes is None else linear.critical_codes.tobytes()
    weight = np.zeros((rows, columns), np.float16)
    for o in range(rows):
        for p in range(columns):
            g, t = divmod(p, d)
            value = np.float32(linear.codebooks[code_at(linear.codes[o], g, bits[0]), t])
            start, offset = 1 << bits[0], 0
            for e in bits[1:] if g < critical else ():
                length = (critical * e + 7) // 8
                row = np.frombuffer(flat, np.uint8, length, offset + o * length)
                value = np.float32(value + np.float32(linear.codebooks[start + code_at(row, g, e), t]))
                start, offset = start + (1 << e), offset + rows * length
            with np.errstate(over="ignore"):
                weight[o, linear.channel_order[p]] = np.float16(np.float32(value * np.float32(linear.scales[o])))
    return weight


@pytest.mark.parametrize("case", CASES)
def test_decodes_as_described(case: str) -> None:
    linear = random_linear(case)
    assert linear.channel_order.dtype == (np.uint32 if "uint16" in case else np.uint16)
    assert np.array_equal(linear.decode().view(np.uint16), decode_naively(linear).view(np.uint16))


@pytest.mark.parametrize("bits", range(1, 13))
def test_codes_survive_packing(bits: int) -> None:
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (5, 19))
    packed = pack_codes(codes, bits)
    assert packed.shape == (5, row_bytes(19, bits))
    assert np.array_equal(unpack_codes(packed, 19, bits), codes)
    assert [code_at(packed[2], g, bits) for g in range(19)] == codes[2].tolist()


def test_known_bytes() -> None:
    # Codes 1, 2, 7 of three bits: 001 010 111 from the least significant bit on.
    assert pack_codes(np.array([1, 2, 7]), 3).tolist() == [0b11_010_001, 0b1]


def save_model(directory: Path, linear: PackedLinear) -> None:
    tensors = {f"layer.{key}": getattr(linear, key) for key in ("codes", "codebooks", "scales", "channel_order")}
    if linear.critical_codes is not None:
        tensors["layer.critical_codes"] = linear.critical_codes
    save_file(tensors, directory / "model-00001-of-00002.safetensors")
    save_file({"norm.weight": np.ones(4, np.float16)}, directory / "model-00002-of-00002.safetensors")
    files = dict.fromkeys(tensors, "model-00001-of-00002.safetensors")
    files["norm.weight"] = "model-00002-of-00002.safetensors"
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    quantization = {
        "quant_method": "crvq",
        "format_version": 1,
        "group_size": linear.format.group_size,
        "codebook_bits": linear.format.codebook_bits,
        "critical_ratio": linear.format.critical_ratio,
    }
    (directory / "config.json").write_text(json.dumps({"model_type": "llama", "quantization_config": quantization}))


def compare(quantized: Path, exported: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "python" / "compare_export.py"), str(quantized), str(exported)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture
def directories(tmp_path: Path) -> tuple[Path, Path]:
    """A packed model of one linear, and what an export of it holds."""
    quantized, exported = tmp_path / "quantized", tmp_path / "exported"
    quantized.mkdir()
    exported.mkdir()
    linear = random_linear("padded")
    save_model(quantized, linear)
    save_file({"layer.weight": linear.decode(), "norm.weight": np.ones(4, np.float16)}, exported / "model.safetensors")
    return quantized, exported


def test_reads_a_directory(directories: tuple[Path, Path]) -> None:
    model = PackedModel(directories[0])
    assert model.linears == ["layer"]
    assert model.plain_tensors == ["norm.weight"]
    assert np.array_equal(model.decode("layer"), random_linear("padded").decode())


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    """Numpy has no such type, which most models have."""
    values = np.array([[1, -2.5, 3e38], [0, 1e-40, -0.0]], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    entry = {"dtype": "BF16", "shape": [2, 3], "data_offsets": [4, 16]}
    header = json.dumps({"other": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "norm": entry}).encode()
    data = np.ones(1, np.float32).tobytes() + upper.tobytes()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    norm = Checkpoint(tmp_path).tensor("norm")
    assert norm.dtype == np.float32
    assert np.array_equal(norm.view(np.uint32), upper.astype(np.uint32) << 16)


def test_comparison_with_an_export(directories: tuple[Path, Path]) -> None:
    done = compare(*directories)
    assert (done.returncode, done.stdout) == (0, "1 of 1 linears are equal bit for bit\n")


def test_comparison_sees_the_sign_of_zero(directories: tuple[Path, Path]) -> None:
    linear = random_linear("padded")
    scales = linear.scales.copy()
    scales[1] = 0
    linear = replace(linear, scales=scales)
    save_model(directories[0], linear)
    weight = linear.decode()
    assert weight[1, 2] == 0
    weight.view(np.uint16)[1, 2] ^= 1 << 15
    assert weight[1, 2] == 0
    save_file({"layer.weight": weight, "norm.weight": np.ones(4, np.float16)}, directories[1] / "model.safetensors")
    done = compare(*directories)
    assert done.returncode == 1
    assert "1 of 244 weights differ, first at [1, 2]" in done.stdout


def test_comparison_misses_a_tensor(directories: tuple[Path, Path]) -> None:
    save_file({"layer.weight": random_linear("padded").decode()}, directories[1] / "model.safetensors")
    done = compare(*directories)
    assert done.returncode == 65
    assert "first norm.weight" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": np.zeros((4, 7), np.uint8)}, "layer.codes: uint8 [4, 7]; expected uint8 [4, 8]"),
        ({"codebooks": np.zeros((256, 8), np.float16)}, "expected float16 [272, 8]"),
        ({"scales": np.ones(4, np.float32)}, "expected float16 [4]"),
        ({"scales": np.float16(1)}, "layer.scales: has 0 dimensions"),
        ({"channel_order": np.zeros(61, np.uint16)}, "not a permutation of 0 ..< 61"),
        ({"critical_codes": None}, "the linear has 3 critical groups"),
        ({"critical_codes": np.zeros((1, 4, 1), np.uint8)}, "expected uint8 [1, 4, 2]"),
    ],
)
def test_refuses_tensors_that_do_not_fit(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError) as caught:
        replace(random_linear("padded"), **change)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quant_method": "gptq"}, "quant_method is 'gptq'"),
        ({"format_version": 2}, "format_version is 2"),
        ({"group_size": 7}, "group_size is 7"),
        ({"codebook_bits": []}, "codebook_bits is []"),
        ({"codebook_bits": [13]}, "codebook_bits is [13]"),
        ({"critical_ratio": 1.5}, "critical_ratio is 1.5"),
        ({"critical_ratio": None}, "critical_ratio is None"),
        ({"critical_ratio": "0.02"}, "critical_ratio is '0.02'"),
        ({"critical_ratio": float("inf")}, "critical_ratio is inf"),
        ({"group_size": 8.9}, "group_size is 8.9"),
        ({"codebook_bits": "88"}, "codebook_bits is '88'"),
        ({"codebook_bits": [8.5]}, "codebook_bits is [8.5]"),
    ],
)
def test_refuses_a_configuration(change: dict[str, object], message: str) -> None:
    config = {
        "quant_method": "crvq",
        "format_version": 1,
        "group_size": 8,
        "codebook_bits": [8],
        "critical_ratio": 0.02,
    }
    with pytest.raises(InputError) as caught:
        PackedFormat.of({**config, **change})
    assert message in str(caught.value)


def test_the_file_of_a_wrong_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(InputError) as caught:
        _ = PackedModel(tmp_path).format
    assert str(caught.value).startswith(f"{tmp_path / 'config.json'}: quantization_config: quant_method is 'gptq'")


def test_refuses_what_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        PackedModel(tmp_path / "absent")
    with pytest.raises(InputError, match=r"model.safetensors.index.json is there"):
        _ = PackedModel(tmp_path).linears
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors: "):
        _ = PackedModel(tmp_path).linears


@pytest.mark.parametrize("file", ["../elsewhere.safetensors", "/etc/hostname", "model.bin", 5])
def test_an_index_leads_nowhere_else(directories: tuple[Path, Path], file: object) -> None:
    index = directories[0] / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"layer.codes": file}}))
    with pytest.raises(InputError, match="which is no file of this directory"):
        _ = PackedModel(directories[0]).files


def test_a_single_file_comes_before_an_index(directories: tuple[Path, Path]) -> None:
    """As in transformers, and in the commands."""
    save_file({"other.weight": np.ones(4, np.float16)}, directories[0] / "model.safetensors")
    assert list(PackedModel(directories[0]).files) == ["other.weight"]
