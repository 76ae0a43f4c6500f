"""Decodes a model packed by crvq, with numpy and safetensors alone.

>>> from crvq.packed import PackedModel
>>> model = PackedModel("OUT")
>>> weight = model.decode("model.layers.0.self_attn.q_proj")  # float16 [out, in]

The format is described in Sources/CRVQ/CRVQ.docc/PackedFormat.md. Decoding is exact by definition: every reader arrives
at the same bits.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from crvq.errors import InputError

FORMAT_VERSION = 1
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class PackedFormat:
    """What the `quantization_config` of a packed model says about all of its linears."""

    group_size: int
    codebook_bits: tuple[int, ...]
    critical_ratio: float

    @classmethod
    def of(cls, config: dict[str, Any]) -> PackedFormat:
        """Reads `quantization_config`; refuses other methods and later versions of the format."""
        method, version = config.get("quant_method"), config.get("format_version")
        if method != "crvq":
            raise InputError(f'quantization_config: quant_method is {method!r}; expected "crvq"')
        if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
            raise InputError(f"quantization_config: format_version is {version!r}; this reader knows {FORMAT_VERSION}")
        size, bits, ratio = (config.get(key) for key in ("group_size", "codebook_bits", "critical_ratio"))
        if type(size) is not int:
            raise InputError(f"quantization_config: group_size is {size!r}; expected a whole number")
        if not isinstance(bits, list) or not all(type(e) is int for e in bits):
            raise InputError(f"quantization_config: codebook_bits is {bits!r}; expected a list of whole numbers")
        if type(ratio) not in (int, float):
            raise InputError(f"quantization_config: critical_ratio is {ratio!r}; expected a number")
        result = cls(size, tuple(bits), float(ratio))
        result.validate()
        return result

    def validate(self) -> None:
        if self.group_size not in (4, 8, 16):
            raise InputError(f"group_size is {self.group_size}; expected 4, 8 or 16")
        if not 1 <= len(self.codebook_bits) <= 8 or not all(1 <= bits <= 12 for bits in self.codebook_bits):
            raise InputError(f"codebook_bits is {list(self.codebook_bits)}; expected 1 to 8 numbers from 1 to 12")
        if not 0 <= self.critical_ratio <= 1:
            raise InputError(f"critical_ratio is {self.critical_ratio}; expected 0 to 1")

    def groups(self, columns: int) -> int:
        """Groups of a row of `columns` channels; the last may be padded."""
        return -(-columns // self.group_size)

    def critical_groups(self, columns: int) -> int:
        """Groups, first in the packed order, that have every codebook."""
        if len(self.codebook_bits) == 1:
            return 0
        return math.floor(self.critical_ratio * columns / self.group_size + 1e-9)

    def stored_bits(self, columns: int) -> tuple[int, ...]:
        """The code lengths of the codebooks that a linear of `columns` channels has."""
        return self.codebook_bits if self.critical_groups(columns) else self.codebook_bits[:1]


def row_bytes(count: int, bits: int) -> int:
    """Bytes of a row of `count` codes; every row starts on a byte."""
    return (count * bits + 7) // 8


def pack_codes(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes [..., count] as bytes [..., row_bytes]: streams of bits, least significant first."""
    planes = (codes[..., None] >> np.arange(bits)) & 1
    stream = planes.astype(np.uint8).reshape(*codes.shape[:-1], codes.shape[-1] * bits)
    return np.packbits(stream, axis=-1, bitorder="little")


def unpack_codes(packed: np.ndarray, count: int, bits: int) -> np.ndarray:
    """The inverse of `pack_codes`: codes [..., count] of `bits` bits from bytes [..., row_bytes]."""
    if bits == 8:
        return packed
    stream = np.unpackbits(packed, axis=-1, bitorder="little")[..., : count * bits]
    planes = stream.reshape(*packed.shape[:-1], count, bits).astype(np.uint16)
    return (planes << np.arange(bits, dtype=np.uint16)).sum(axis=-1, dtype=np.uint16)


@dataclass(frozen=True)
class PackedLinear:
    """The tensors of one packed linear with weight [out, in], checked against each other."""

    name: str
    format: PackedFormat
    codes: np.ndarray  # uint8 [out, row_bytes]
    critical_codes: np.ndarray | None  # uint8 [m - 1, out, row_bytes], or flat; None without critical groups
    codebooks: np.ndarray  # float16 [sum of 2^e, d]
    scales: np.ndarray  # float16 [out]
    channel_order: np.ndarray  # uint16 or uint32 [in]: position in the packed order to original channel

    def __post_init__(self) -> None:
        for suffix, tensor in (("scales", self.scales), ("channel_order", self.channel_order)):
            if tensor.ndim != 1:
                raise InputError(f"{self.name}.{suffix}: has {tensor.ndim} dimensions; expected 1")
        rows, columns, bits = self.rows, self.columns, self.format.stored_bits(self.columns)
        critical = self.format.critical_groups(columns)
        self.expect("scales", self.scales, (np.float16,), (rows,))
        self.expect("channel_order", self.channel_order, (np.uint16, np.uint32), (columns,))
        self.expect("codes", self.codes, (np.uint8,), (rows, row_bytes(self.format.groups(columns), bits[0])))
        self.expect("codebooks", self.codebooks, (np.float16,), (sum(1 << e for e in bits), self.format.group_size))
        if not np.array_equal(np.sort(self.channel_order), np.arange(columns)):
            raise InputError(f"{self.name}.channel_order: not a permutation of 0 ..< {columns}")
        if (self.critical_codes is not None) != (critical > 0):
            raise InputError(f"{self.name}.critical_codes: the linear has {critical} critical groups")
        if self.critical_codes is not None:
            sizes = [row_bytes(critical, e) for e in bits[1:]]
            same = len(set(sizes)) == 1 and len(set(bits[1:])) == 1
            shape = (len(sizes), rows, sizes[0]) if same else (rows * sum(sizes),)
            self.expect("critical_codes", self.critical_codes, (np.uint8,), shape)

    def expect(self, suffix: str, tensor: np.ndarray, types: tuple[type, ...], shape: tuple[int, ...]) -> None:
        if tensor.dtype not in types or tensor.shape != shape:
            wanted = " or ".join(kind.__name__ for kind in types)
            raise InputError(
                f"{self.name}.{suffix}: {tensor.dtype} {list(tensor.shape)}; expected {wanted} {list(shape)}"
            )

    @property
    def rows(self) -> int:
        return int(self.scales.shape[0])

    @property
    def columns(self) -> int:
        return int(self.channel_order.shape[0])

    def code_lists(self) -> list[np.ndarray]:
        """The codes of each codebook: [out, groups] for the first, [out, critical groups] for the others."""
        bits = self.format.stored_bits(self.columns)
        critical = self.format.critical_groups(self.columns)
        lists = [unpack_codes(self.codes, self.format.groups(self.columns), bits[0])]
        rest = np.empty(0, np.uint8) if self.critical_codes is None else self.critical_codes.reshape(-1)
        for e in bits[1:]:
            size = self.rows * row_bytes(critical, e)
            lists.append(unpack_codes(rest[:size].reshape(self.rows, -1), critical, e))
            rest = rest[size:]
        return lists

    def decode(self) -> np.ndarray:
        """The weight, float16 [out, in]: sum of codewords in codebook order and product with the scale in float32."""
        bits = self.format.stored_bits(self.columns)
        starts = np.cumsum([0] + [1 << e for e in bits])
        codebooks = [self.codebooks[a:b].astype(np.float32) for a, b in zip(starts, starts[1:])]
        first, *further = self.code_lists()
        groups = codebooks[0][first]  # [out, groups, d]
        for codebook, codes in zip(codebooks[1:], further):
            groups[:, : codes.shape[1]] += codebook[codes]
        packed_order = groups.reshape(self.rows, -1)[:, : self.columns] * self.scales.astype(np.float32)[:, None]
        weight = np.empty((self.rows, self.columns), np.float16)
        with np.errstate(over="ignore"):
            weight[:, self.channel_order] = packed_order.astype(np.float16)
        return weight


def widened(path: Path, name: str) -> np.ndarray:
    """A bfloat16 tensor of a safetensors file, whose numbers are the upper halves of float32."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        entry = json.loads(file.read(length))[name]
        start, end = entry["data_offsets"]
        file.seek(8 + length + start)
        halves = np.frombuffer(file.read(end - start), "<u2")
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


class Checkpoint:
    """The tensors of a Hugging Face directory, one file or many, read one by one."""

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        if not self.directory.is_dir():
            raise InputError(f"{self.directory}: no such directory")

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.read_json("config.json")

    @cached_property
    def files(self) -> dict[str, Path]:
        """The file of each tensor."""
        single = self.directory / "model.safetensors"
        if single.is_file():
            with self.open(single) as file:
                return dict.fromkeys(file.keys(), single)
        if not (self.directory / INDEX).is_file():
            raise InputError(f"{self.directory}: neither model.safetensors nor {INDEX} is there")
        weight_map = self.read_json(INDEX).get("weight_map")
        if not isinstance(weight_map, dict):
            raise InputError(f"{self.directory / INDEX}: no weight_map")
        return {name: self.shard(name, file) for name, file in weight_map.items()}

    def shard(self, name: str, file: Any) -> Path:
        """The path of a file of the index, which must not lead elsewhere."""
        if not isinstance(file, str) or Path(file).name != file or not file.endswith(".safetensors"):
            raise InputError(f"{self.directory / INDEX}: {name} is in {file!r}, which is no file of this directory")
        return self.directory / file

    def read_json(self, name: str) -> dict[str, Any]:
        path = self.directory / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such file") from error
        except ValueError as error:
            raise InputError(f"{path}: not JSON: {error}") from error
        if not isinstance(value, dict):
            raise InputError(f"{path}: not a JSON object")
        return value

    @staticmethod
    def open(path: Path, framework: str = "np") -> Any:
        try:
            return safe_open(path, framework=framework)
        except (SafetensorError, FileNotFoundError) as error:
            raise InputError(f"{path}: {error}") from error

    def tensor(self, name: str, framework: str = "np") -> Any:
        """One tensor, as numpy's or (framework "pt") torch's. Numpy has no bfloat16: there it is float32, of the same values."""
        if name not in self.files:
            raise InputError(f"{self.directory}: there is no tensor {name}")
        with self.open(self.files[name], framework) as file:
            if framework == "np" and file.get_slice(name).get_dtype() == "BF16":
                return widened(self.files[name], name)
            return file.get_tensor(name)


class PackedModel(Checkpoint):
    """A packed model's directory."""

    @cached_property
    def format(self) -> PackedFormat:
        config = self.config.get("quantization_config") or {}
        try:
            if not isinstance(config, dict):
                raise InputError(f"quantization_config is {config!r}; expected an object")
            return PackedFormat.of(config)
        except InputError as error:
            raise InputError(f"{self.directory / 'config.json'}: {error}") from error

    @cached_property
    def linears(self) -> list[str]:
        """The names of the packed linears, such as `model.layers.0.self_attn.q_proj`."""
        return [name[: -len(".codes")] for name in self.files if name.endswith(".codes")]

    @cached_property
    def plain_tensors(self) -> list[str]:
        """The names of the tensors that are not part of a packed linear."""
        suffixes = ("codes", "critical_codes", "codebooks", "scales", "channel_order")
        packed = {f"{name}.{suffix}" for name in self.linears for suffix in suffixes}
        return [name for name in self.files if name not in packed]

    def linear(self, name: str) -> PackedLinear:
        critical = f"{name}.critical_codes"
        return PackedLinear(
            name,
            self.format,
            self.tensor(f"{name}.codes"),
            self.tensor(critical) if critical in self.files else None,
            self.tensor(f"{name}.codebooks"),
            self.tensor(f"{name}.scales"),
            self.tensor(f"{name}.channel_order"),
        )

    def decode(self, name: str) -> np.ndarray:
        """The weight of a packed linear, float16 [out, in]."""
        return self.linear(name).decode()
