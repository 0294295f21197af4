# SPDX-License-Identifier: MIT
"""The starter model: a small Qwen3-architecture decoder in PyTorch, for CPU training.

The matrix products run in bfloat16 (twice as fast as float32 on CPUs with
AVX512-BF16), everything else in float32.  Linear layers and attention carry
hand-written backward passes, which saves casts and passes over memory.
"""
from dataclasses import dataclass, asdict

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    vocab: int = 2048
    dim: int = 192
    layers: int = 6
    heads: int = 6
    kv_heads: int = 2
    head_dim: int = 32
    ffn: int = 512
    context: int = 1024
    rope_theta: float = 10000.0
    eps: float = 1e-6

    def as_dict(self):
        return asdict(self)


class LinearBF16(torch.autograd.Function):
    """y = x W^T with bf16 operands and a float32 result."""

    @staticmethod
    def forward(ctx, x, w):
        xb, wb = x.to(torch.bfloat16), w.to(torch.bfloat16)
        ctx.save_for_backward(xb, wb)
        return torch.mm(xb, wb.t()).float()

    @staticmethod
    def backward(ctx, dy):
        xb, wb = ctx.saved_tensors
        dyb = dy.to(torch.bfloat16)
        return torch.mm(dyb, wb).float(), torch.mm(dyb.t(), xb).float()


class AttentionBF16(torch.autograd.Function):
    """Masked softmax attention; q is [B*G, R*T, E], k and v are [B*G, T, E].

    R query heads share a key/value head; they are stacked along the rows, so no
    copy of k and v is needed.  mask is additive, [B, 1, 1, T, T], float32.
    """

    @staticmethod
    def forward(ctx, q, k, v, mask, scale):
        qb, kb, vb = ((q * scale).to(torch.bfloat16), k.to(torch.bfloat16), v.to(torch.bfloat16))
        B, T = mask.shape[0], mask.shape[-1]
        s = torch.bmm(qb, kb.transpose(1, 2)).float()
        n, rt, _ = s.shape
        s = s.view(B, n // B, rt // T, T, T).add_(mask).view(n, rt, T)
        p = torch.softmax(s, -1).to(torch.bfloat16)
        o = torch.bmm(p, vb).float()
        ctx.save_for_backward(qb, kb, vb, p, o)
        ctx.scale = scale
        return o

    @staticmethod
    def backward(ctx, do):
        qb, kb, vb, p, o = ctx.saved_tensors
        dob = do.to(torch.bfloat16)
        dv = torch.bmm(p.transpose(1, 2), dob).float()
        ds = torch.bmm(dob, vb.transpose(1, 2)).float()
        ds = ds.sub_((do * o).sum(-1, keepdim=True)).mul_(p).to(torch.bfloat16)
        dq = torch.bmm(ds, kb).float().mul_(ctx.scale)
        dk = torch.bmm(ds.transpose(1, 2), qb).float()
        return dq, dk, dv, None, None


def linear(x, w, fast):
    return LinearBF16.apply(x, w) if fast else x @ w.t()


def attention(q, k, v, mask, scale, fast):
    if fast:
        return AttentionBF16.apply(q, k, v, mask, scale)
    B, T = mask.shape[0], mask.shape[-1]
    s = torch.bmm(q * scale, k.transpose(1, 2))
    n, rt, _ = s.shape
    s = (s.view(B, n // B, rt // T, T, T) + mask).view(n, rt, T)
    return torch.bmm(torch.softmax(s, -1), v)


def rms_norm(x, w, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * w


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
        self.attn_norm = nn.Parameter(torch.ones(c.dim))
        self.attn_q = nn.Parameter(torch.randn(q, c.dim) * c.dim ** -0.5)
        self.attn_k = nn.Parameter(torch.randn(kv, c.dim) * c.dim ** -0.5)
        self.attn_v = nn.Parameter(torch.randn(kv, c.dim) * c.dim ** -0.5)
        out = (2 * c.layers) ** -0.5
        self.attn_output = nn.Parameter(torch.randn(c.dim, q) * q ** -0.5 * out)
        self.attn_q_norm = nn.Parameter(torch.ones(c.head_dim))
        self.attn_k_norm = nn.Parameter(torch.ones(c.head_dim))
        self.ffn_norm = nn.Parameter(torch.ones(c.dim))
        self.ffn_gate = nn.Parameter(torch.randn(c.ffn, c.dim) * c.dim ** -0.5)
        self.ffn_up = nn.Parameter(torch.randn(c.ffn, c.dim) * c.dim ** -0.5)
        self.ffn_down = nn.Parameter(torch.randn(c.dim, c.ffn) * c.ffn ** -0.5 * out)

    def forward(self, x, B, T, cos, sin, mask, fast):
        c = self.c
        H, G, E = c.heads, c.kv_heads, c.head_dim
        h = rms_norm(x, self.attn_norm, c.eps)
        qkv = linear(h, torch.cat([self.attn_q, self.attn_k, self.attn_v]), fast)
        qk, v = qkv.view(B, T, H + 2 * G, E).split([H + G, G], 2)
        w = torch.cat([self.attn_q_norm.expand(H, E), self.attn_k_norm.expand(G, E)])
        qk = rms_norm(qk, w, c.eps)
        # NeoX-style rotation: the halves (i, i + E/2) form the pairs
        lo, hi = qk.split(E // 2, -1)
        qk = torch.cat([lo * cos - hi * sin, hi * cos + lo * sin], -1)
        q, k = qk.split([H, G], 2)
        q = q.view(B, T, G, H // G, E).permute(0, 2, 3, 1, 4).reshape(B * G, H // G * T, E)
        k = k.transpose(1, 2).reshape(B * G, T, E)
        v = v.transpose(1, 2).reshape(B * G, T, E)
        o = attention(q, k, v, mask, E ** -0.5, fast)
        o = o.view(B, G, H // G, T, E).permute(0, 3, 1, 2, 4).reshape(B * T, H * E)
        x = x + linear(o, self.attn_output, fast)
        h = rms_norm(x, self.ffn_norm, c.eps)
        g, u = linear(h, torch.cat([self.ffn_gate, self.ffn_up]), fast).split(c.ffn, -1)
        return x + linear(F.silu(g) * u, self.ffn_down, fast)


class Starter(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.token_embd = nn.Parameter(torch.randn(c.vocab, c.dim) * 0.05)
        self.blk = nn.ModuleList([Block(c) for _ in range(c.layers)])
        self.output_norm = nn.Parameter(torch.ones(c.dim))
        inv = c.rope_theta ** (-torch.arange(0, c.head_dim, 2).double() / c.head_dim)
        angle = torch.arange(c.context).double()[:, None] * inv
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)

    def hidden(self, ids, pos, mask, fast):
        """ids, pos: [B, T]; mask: additive [B, 1, 1, T, T]; gives [B*T, dim]."""
        B, T = ids.shape
        x = F.embedding(ids.reshape(-1), self.token_embd)
        cos, sin = self.cos[pos][:, :, None], self.sin[pos][:, :, None]
        for block in self.blk:
            x = block(x, B, T, cos, sin, mask, fast)
        return rms_norm(x, self.output_norm, self.c.eps)

    def loss(self, ids, pos, doc, targets, weights, fast=True):
        """Weighted mean cross entropy; doc numbers the conversations of a row."""
        h = self.hidden(ids, pos, document_mask(doc), fast)
        at = weights.reshape(-1).nonzero().squeeze(1)
        logits = linear(h[at], self.token_embd, fast)
        loss = F.cross_entropy(logits, targets.reshape(-1)[at], reduction="none")
        w = weights.reshape(-1)[at]
        return (loss * w).sum() / w.sum(), logits, at

    @torch.no_grad()
    def following(self, prompt, answer):
        """The likeliest token at every place of the answer, given all before it (float32)."""
        ids = torch.tensor([prompt + answer[:-1]])
        mask = document_mask(torch.zeros_like(ids))
        h = self.hidden(ids, torch.arange(ids.shape[1])[None], mask, False)[len(prompt) - 1:]
        return (h @ self.token_embd.t()).argmax(-1).tolist()

    @torch.no_grad()
    def generate(self, prompts, stop, limit=160):
        """Greedy float32 continuations of equally treated prompts, a batch at once."""
        rows = [list(p) for p in prompts]
        done = [False] * len(rows)
        for _ in range(limit):
            live = [i for i in range(len(rows)) if not done[i]]
            if not live:
                break
            T = max(len(rows[i]) for i in live)
            ids = torch.zeros(len(live), T, dtype=torch.long)
            for j, i in enumerate(live):
                ids[j, :len(rows[i])] = torch.tensor(rows[i])
            pos = torch.arange(T).expand(len(live), T)
            mask = document_mask(torch.zeros_like(ids))
            h = self.hidden(ids, pos, mask, False).view(len(live), T, -1)
            last = h[torch.arange(len(live)), torch.tensor([len(rows[i]) - 1 for i in live])]
            nxt = (last @ self.token_embd.t()).argmax(-1).tolist()
            for j, i in enumerate(live):
                rows[i].append(nxt[j])
                done[i] = nxt[j] == stop
        return [r[len(p):] for r, p in zip(rows, prompts)]


def document_mask(doc):
    """Causal mask that also keeps the conversations of a packed row apart."""
    T = doc.shape[1]
    ok = (doc[:, :, None] == doc[:, None, :]) & torch.ones(T, T, dtype=torch.bool).tril()
    return torch.zeros(ok.shape).masked_fill_(~ok, -1e9)[:, None, None]
