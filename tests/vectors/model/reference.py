#!/usr/bin/env python3
"""MODEL.md once more, in numpy and double precision, written from that page and not from the C sources.

usage: reference.py MODEL.gguf TOKENS OUTPUT
MODEL.gguf: qwen3, qwen2 or llama, F32 tensors only (test_model --dump makes it). TOKENS: comma-separated ids. Writes for a few prefixes the
logits after their last token: lines `prefix n`, then V lines of one number each.
"""
import struct
import sys

import numpy as np

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, fmt):
        values = struct.unpack_from("<" + fmt, self.data, self.at)
        self.at += struct.calcsize("<" + fmt)
        return values[0]

    def string(self):
        n = self.take("Q")
        self.at += n
        return self.data[self.at - n:self.at].decode("utf-8")

    def value(self, kind):
        if kind == 8:
            return self.string()
        if kind == 9:
            element, n = self.take("I"), self.take("Q")
            return [self.value(element) for _ in range(n)]
        return self.take(SCALARS[kind])


def read_gguf(path):
    r = Reader(open(path, "rb").read())
    assert r.data[:4] == b"GGUF"
    r.at = 4
    assert r.take("I") == 3
    n_tensors, n_values = r.take("Q"), r.take("Q")
    meta = {}
    for _ in range(n_values):
        key = r.string()
        meta[key] = r.value(r.take("I"))
    directory = []
    for _ in range(n_tensors):
        name = r.string()
        dims = [r.take("Q") for _ in range(r.take("I"))]
        assert r.take("I") == 0, "F32 only"
        directory.append((name, dims, r.take("Q")))
    alignment = meta.get("general.alignment", 32)
    start = (r.at + alignment - 1) // alignment * alignment
    tensors = {}
    for name, dims, offset in directory:
        n = int(np.prod(dims))
        tensors[name] = np.frombuffer(r.data, "<f4", n, start + offset).reshape(dims[::-1]).astype(np.float64)
    return meta, tensors


def rms(x, w, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def rope(a, base, factors, neighbours):  # a [T, heads, E] at positions 0..T-1
    t, _, e = a.shape
    theta = np.arange(t)[:, None] * base ** (-2.0 * np.arange(e // 2) / e) / factors
    turn = np.exp(1j * theta)[:, None, :]
    z = a[..., 0::2] + 1j * a[..., 1::2] if neighbours else a[..., :e // 2] + 1j * a[..., e // 2:]
    z = z * turn
    return np.stack([z.real, z.imag], -1).reshape(a.shape) if neighbours else np.concatenate([z.real, z.imag], -1)


def half(x):
    return x.astype(np.float32).astype(np.float16).astype(np.float64)


def logits(meta, w, ids):
    """Of every position: [T, V]. Without a cache: all positions at once, with a mask."""
    arch = meta["general.architecture"]
    n = lambda key: meta[f"{arch}.{key}"]
    heads, groups, e = n("attention.head_count"), n("attention.head_count_kv"), n("attention.key_length")
    eps, base = float(n("attention.layer_norm_rms_epsilon")), float(n("rope.freq_base"))
    factors = w.get("rope_freqs.weight", np.ones(e // 2))
    sharper = 1.0
    if n("rope.scaling.type") == "linear":
        factors = factors * n("rope.scaling.factor")
    if n("rope.scaling.type") == "yarn":
        s, context = n("rope.scaling.factor"), n("rope.scaling.original_context_length")
        pair = lambda beta: e * np.log(context / (beta * 2 * np.pi)) / (2 * np.log(base))
        low, high = max(0, np.floor(pair(32))), min(e - 1, np.ceil(pair(1)))
        interpolated = np.clip((np.arange(e // 2) - low) / (high - low), 0, 1)
        factors = factors / (interpolated / s + 1 - interpolated)
        sharper = 0.1 * np.log(s) + 1
    x = w["token_embd.weight"][ids]
    t = len(ids)
    mask = np.where(np.arange(t)[None, :] > np.arange(t)[:, None], -np.inf, 0.0)
    for layer in range(n("block_count")):
        p = lambda name, kind="weight": w[f"blk.{layer}.{name}.{kind}"]
        bias = lambda name: p(name, "bias") if arch == "qwen2" else 0.0
        norm = lambda a, name: rms(a, p(name), eps) if arch == "qwen3" else a
        turn = lambda a: rope(a, base, factors, arch == "llama")
        a = rms(x, p("attn_norm"), eps)
        q = (a @ p("attn_q").T + bias("attn_q")).reshape(t, heads, e)
        k = (a @ p("attn_k").T + bias("attn_k")).reshape(t, groups, e)
        v = half((a @ p("attn_v").T + bias("attn_v")).reshape(t, groups, e))
        q = turn(norm(q, "attn_q_norm")) * sharper ** 2
        k = half(turn(norm(k, "attn_k_norm")))
        k, v = (np.repeat(c, heads // groups, axis=1) for c in (k, v))
        s = np.einsum("the,phe->htp", q, k) / np.sqrt(e) + mask
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        x = x + np.einsum("htp,phe->the", s, v).reshape(t, heads * e) @ p("attn_output").T
        a = rms(x, p("ffn_norm"), eps)
        gate = a @ p("ffn_gate").T
        x = x + (gate / (1 + np.exp(-gate)) * (a @ p("ffn_up").T)) @ p("ffn_down").T
    head = w["output.weight"] if "output.weight" in w else w["token_embd.weight"]
    return rms(x, w["output_norm.weight"], eps) @ head.T


def main():
    meta, tensors = read_gguf(sys.argv[1])
    ids = [int(i) for i in sys.argv[2].split(",")]
    out = logits(meta, tensors, ids)
    with open(sys.argv[3], "w", encoding="ascii") as f:
        f.write(f"# reference.py, numpy {np.__version__}, Python {sys.version.split()[0]}\n")
        f.write(f"tokens {len(ids)} {' '.join(map(str, ids))}\n")
        for prefix in sorted({1, 2, len(ids) // 2, len(ids)}):
            f.write(f"prefix {prefix}\n")
            f.writelines(f"{v:.9g}\n" for v in out[prefix - 1])


if __name__ == "__main__":
    main()
