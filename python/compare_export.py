#!/usr/bin/env python3
"""compare_export.py QUANTIZED EXPORTED

Decodes every packed linear of QUANTIZED with numpy and compares it, bit for bit, with what `crvq-coord export` wrote to
EXPORTED. Exit code 0 if all are equal, 1 if any differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from crvq.errors import InputError, Parser, run
from crvq.packed import Checkpoint, PackedModel


def difference(decoded: np.ndarray, exported: np.ndarray) -> str | None:
    """How two float16 weights differ, or None where they are equal bit for bit."""
    if exported.dtype != np.float16 or exported.shape != decoded.shape:
        return f"exported is {exported.dtype} {list(exported.shape)}; decoded is float16 {list(decoded.shape)}"
    unequal = decoded.view(np.uint16) != exported.view(np.uint16)
    if not unequal.any():
        return None
    row, column = np.argwhere(unequal)[0]
    return (
        f"{np.count_nonzero(unequal)} of {unequal.size} weights differ, first at [{row}, {column}]: "
        f"decoded {decoded[row, column]!s}, exported {exported[row, column]!s}"
    )


def compare(quantized: Path, exported: Path) -> int:
    packed, plain = PackedModel(quantized), Checkpoint(exported)
    if not packed.linears:
        raise InputError(f"{quantized}: no packed linear")
    if missing := sorted(set(packed.plain_tensors) - set(plain.files)):
        raise InputError(f"{exported}: {len(missing)} tensors of {quantized} are missing, first {missing[0]}")
    failures = 0
    for name in packed.linears:
        if problem := difference(packed.decode(name), plain.tensor(f"{name}.weight")):
            failures += 1
            print(f"{name}: {problem}")
    print(f"{len(packed.linears) - failures} of {len(packed.linears)} linears are equal bit for bit")
    return 1 if failures else 0


def main() -> int:
    parser = Parser(prog="compare_export.py", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("quantized", type=Path)
    parser.add_argument("exported", type=Path)
    options = parser.parse_args()
    return compare(options.quantized, options.exported)


if __name__ == "__main__":
    sys.exit(run("compare_export.py", main))
