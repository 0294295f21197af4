# SPDX-License-Identifier: MIT
"""Write and read GGUF files with F32 and Q8_0 tensors."""
import struct

import numpy as np

ALIGN = 32
F32, Q8_0 = 0, 8
U32, I32, FLOAT, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
SCALAR = {0: "B", 1: "b", 2: "H", 3: "h", U32: "I", I32: "i", FLOAT: "f", BOOL: "?", 10: "Q", 11: "q", 12: "d"}


def quantize(x):
    """Rows to Q8_0: blocks of 32 values, a float16 scale and 32 int8 each."""
    x = x.astype(np.float32).reshape(-1, 32)
    d = np.abs(x).max(1) / 127
    inv = np.divide(1, d, out=np.zeros_like(d), where=d > 0)
    out = np.empty((len(x), 34), np.uint8)
    out[:, :2] = d.astype("<f2").view(np.uint8).reshape(-1, 2)
    out[:, 2:] = np.clip(np.rint(x * inv[:, None]), -127, 127).astype(np.int8).view(np.uint8)
    return out


def dequantize(raw, shape):
    raw = np.frombuffer(raw, np.uint8).reshape(-1, 34)
    d = raw[:, :2].copy().view("<f2").astype(np.float32)
    return (raw[:, 2:].view(np.int8).astype(np.float32) * d).reshape(shape)


def string(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def value(kind, v):
    return string(v) if kind == STRING else struct.pack("<" + SCALAR[kind], v)


def pad(n):
    return -n % ALIGN


def write(path, fields, tensors):
    """fields: (key, type, value); a list value becomes an array of that type.
    tensors: (name, array), matrices as [rows, row length]; they become Q8_0."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(fields))
    for key, kind, v in fields:
        if isinstance(v, list):
            head += string(key) + struct.pack("<IIQ", ARRAY, kind, len(v)) + b"".join(value(kind, x) for x in v)
        else:
            head += string(key) + struct.pack("<I", kind) + value(kind, v)
    data = []
    at = 0
    for name, x in tensors:
        raw = (quantize(x) if x.ndim == 2 else x.astype("<f4")).tobytes()
        dims = x.shape[::-1]
        head += string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, Q8_0 if x.ndim == 2 else F32, at)
        data.append(raw + bytes(pad(len(raw))))
        at += len(data[-1])
    with open(path, "wb") as f:
        f.write(head + bytes(pad(len(head))) + b"".join(data))


def read(path):
    """-> fields as a dict, tensors as a dict of float32 arrays."""
    with open(path, "rb") as f:
        buf = f.read()
    at = 0

    def take(fmt):
        nonlocal at
        v = struct.unpack_from("<" + fmt, buf, at)
        at += struct.calcsize("<" + fmt)
        return v if len(v) > 1 else v[0]

    def text():
        nonlocal at
        n = take("Q")
        at += n
        return buf[at - n:at].decode()

    def one(kind):
        if kind == ARRAY:
            inner, n = take("IQ")
            return [one(inner) for _ in range(n)]
        return text() if kind == STRING else take(SCALAR[kind])

    magic, version, n_tensors, n_fields = take("4sIQQ")
    if magic != b"GGUF" or version != 3:
        raise ValueError("not a GGUF file of version 3")
    fields = {}
    for _ in range(n_fields):
        key = text()
        fields[key] = one(take("I"))
    infos = []
    for _ in range(n_tensors):
        name = text()
        dims = [take("Q") for _ in range(take("I"))]
        infos.append((name, dims[::-1], *take("IQ")))
    base = at + pad(at)
    tensors = {}
    for name, shape, kind, offset in infos:
        n = int(np.prod(shape))
        start = base + offset
        if kind == F32:
            tensors[name] = np.frombuffer(buf, "<f4", n, start).reshape(shape)
        elif kind == Q8_0:
            tensors[name] = dequantize(buf[start:start + n // 32 * 34], shape)
        else:
            raise ValueError(f"{name} has type {kind}")
    return fields, tensors
