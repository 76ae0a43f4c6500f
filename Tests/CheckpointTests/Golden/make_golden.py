"""Writes golden.safetensors beside it with the reference implementation (safetensors 0.8, torch): python make_golden.py"""

import pathlib

import torch
from safetensors.torch import save_file

values = torch.tensor([[0.0, -0.0, 1.0], [-2.5, 65504.0, 2**-24]])
tensors = {
    "f32": values,
    "f16": values.to(torch.float16),
    "bf16": torch.tensor([1.0, -2.5, float("inf")], dtype=torch.bfloat16),
    "i32": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
    "i64": torch.tensor([-(2**63), 2**63 - 1], dtype=torch.int64),
    "u8": torch.tensor([0, 127, 255], dtype=torch.uint8),
    "u16": torch.tensor([65535], dtype=torch.uint16),
    "u32": torch.tensor([[2**32 - 1]], dtype=torch.uint32),
    "scalar": torch.tensor(0.5),
    "empty": torch.zeros(0, 4),
    'näme "quoted"\\': torch.tensor([7], dtype=torch.uint8),
}
save_file(tensors, pathlib.Path(__file__).parent / "golden.safetensors", metadata={"format": "pt"})
