#!/usr/bin/env python3
"""Writes quant.txt: blocks of each tensor type, and the weights an independent implementation reads from them.

    make_vectors.py > quant.txt        (needs numpy and the `gguf` Python package)

A line is TYPE, the blocks' bytes in hex, the weights' f32 bits in hex. The first line names the tool."""
import importlib.metadata
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "IQ4_XS", "Q2_K", "Q3_K"]
# where the half-float scales lie: random bytes there are mostly absurd, so some blocks get sane ones
SCALES = {"F16": [0], "Q8_0": [0], "Q4_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "Q4_1": [0, 2],
          "Q5_0": [0], "Q5_1": [0, 2], "IQ4_NL": [0], "IQ4_XS": [0], "Q2_K": [80, 82], "Q3_K": [108]}


def blocks_of(name, rng):
    n, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    repeat = 32 if n == 1 else 1
    def sane(b):
        if n > 1:
            for at in SCALES[name]:
                b[at:at + 2] = np.frombuffer(np.float16(rng.uniform(-0.1, 0.1)).tobytes(), np.uint8)
        return b
    for _ in range(5):
        yield sane(rng.integers(0, 256, size * repeat, dtype=np.uint8))
    yield sane(np.zeros(size * repeat, np.uint8))
    yield sane(np.full(size * repeat, 0xff, np.uint8))
    yield sane(np.full(size * repeat, 0x80, np.uint8))
    yield sane(np.full(size * repeat, 0x7f, np.uint8))
    for _ in range(2):  # any scale: subnormal, huge, perhaps not finite
        yield rng.integers(0, 256, size * repeat, dtype=np.uint8)


rng = np.random.default_rng(2)
print(f"# gguf {importlib.metadata.version('gguf')}, numpy {np.__version__}")
for name in TYPES:
    for block in blocks_of(name, rng):
        with np.errstate(all="ignore"):
            if name == "F32":
                weights = block.view(np.float32)
            elif name == "F16":
                weights = block.view(np.float16).astype(np.float32)
            else:
                weights = quants.dequantize(block.reshape(1, -1), GGMLQuantizationType[name])
        print(name, block.tobytes().hex(), "".join(f"{v:08x}" for v in weights.ravel().astype(np.float32).view(np.uint32)))
sys.stdout.flush()
