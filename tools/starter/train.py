# SPDX-License-Identifier: MIT
"""Train the starter model on generated conversations, for a given wall-clock time.

    train.py --vocab vocab.json --out DIR [--minutes 85] [--threads 2] [--seed 1]

Continues from DIR/last.pt where that exists.  DIR/last.pt holds weights, their
moving average (what export.py writes), and the optimiser's state.
"""
import argparse
import math
import os
import signal
import time

import torch

import bpe
import corpus
from model import Config, Starter

# rows of packed conversations: (row length, rows a step, share of the steps)
BUCKETS = [(256, 24, 0.76), (512, 12, 0.19), (1024, 6, 0.05)]
EMA = 0.998
LATE = 0.65      # from this share of the time on, corpus.KINDS_LATE


class Packer:
    """Endless batches; every conversation starts at position 0 of its own document."""

    def __init__(self, tok, seed):
        self.tok, self.source = tok, corpus.Corpus(seed)
        self.pools = [[] for _ in BUCKETS]
        self.answer = tok.encode("<|im_start|>assistant\n")

    def tokens(self, messages):
        """Token ids and the positions (of predicting tokens) that carry loss."""
        ids, loss = [], []
        for m in messages:
            part = self.tok.encode(bpe.render([m]))
            start = len(ids)
            ids += part
            if m["role"] == "assistant":
                # content and <|im_end|>; the last id is the newline behind it
                loss += range(start + len(self.answer) - 1, len(ids) - 2)
        return ids, loss

    def refill(self, bucket):
        pool = self.pools[bucket]
        while len(pool) < 120:
            ids, loss = self.tokens(self.source.conversation())
            for (length, _, _), p in zip(BUCKETS, self.pools):
                if len(ids) <= length:
                    if len(p) < 240:
                        p.append((ids, loss))
                    break

    def row(self, bucket):
        """Conversations drawn at random, then the longest that still fit."""
        length, out, used = BUCKETS[bucket][0], [], 0
        while True:
            self.refill(bucket)
            room = length - used
            if not out:
                out.append(self.pools[bucket].pop(0))
            else:
                # shorter ones of the smaller buckets fill the gaps
                fit = [(len(c[0]), b, i) for b in range(bucket + 1)
                       for i, c in enumerate(self.pools[b][:60]) if len(c[0]) <= room]
                if not fit:
                    return out
                _, b, i = max(fit)
                out.append(self.pools[b].pop(i))
            used += len(out[-1][0])

    def batch(self, bucket):
        length, rows, _ = BUCKETS[bucket]
        ids, pos, doc, tgt = (torch.zeros(rows, length, dtype=torch.long) for _ in range(4))
        w = torch.zeros(rows, length)
        for r in range(rows):
            at = 0
            for d, (t, loss) in enumerate(self.row(bucket), 1):
                n = len(t)
                ids[r, at:at + n] = torch.tensor(t)
                tgt[r, at:at + n - 1] = ids[r, at + 1:at + n]
                pos[r, at:at + n] = torch.arange(n)
                doc[r, at:at + n] = d
                w[r, torch.tensor(loss) + at] = 1
                at += n
        return ids, pos, doc, tgt, w


class Muon:
    """Momentum orthogonalised by Newton-Schulz, for the matrices of the blocks."""

    def __init__(self, params, momentum=0.95, decay=0.02):
        self.groups = {}
        for p in params:
            self.groups.setdefault((min(p.shape), max(p.shape)), []).append(p)
        self.buf = {id(p): torch.zeros_like(p) for p in params}
        self.order, self.momentum, self.decay = list(params), momentum, decay

    @torch.no_grad()
    def step(self, lr):
        for group in self.groups.values():
            ups = []
            for p in group:
                b = self.buf[id(p)]
                b.lerp_(p.grad, 1 - self.momentum)
                g = p.grad.lerp(b, self.momentum)
                ups.append(g if g.shape[0] <= g.shape[1] else g.t())
            x = torch.stack(ups)
            x = (x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-12)).bfloat16()
            for _ in range(5):
                a = torch.bmm(x, x.transpose(1, 2))
                x = 3.4445 * x + torch.bmm(-4.7750 * a + 2.0315 * torch.bmm(a, a), x)
            for p, u in zip(group, x.float()):
                u = u if p.shape[0] <= p.shape[1] else u.t()
                p.mul_(1 - lr * self.decay).add_(u, alpha=-lr * max(1, p.shape[0] / p.shape[1]) ** 0.5)

    def state(self):
        return [self.buf[id(p)] for p in self.order]

    def load(self, state):
        for p, b in zip(self.order, state):
            self.buf[id(p)].copy_(b)


class Polite:
    """Under nice, a thread on a busy core holds up all others: leave busy cores alone.

    Counts the processor time of processes that are not niced (/proc/stat, Linux)."""

    def __init__(self, threads):
        self.threads, self.then = threads, None

    def step(self):
        with open("/proc/stat") as f:
            now = time.time(), int(f.readline().split()[1]) / os.sysconf("SC_CLK_TCK")
        if self.then is None:
            self.then = now
        elif now[0] - self.then[0] > 0.5:
            busy = (now[1] - self.then[1]) / (now[0] - self.then[0])
            torch.set_num_threads(max(1, self.threads - int(busy + 0.7)))
            self.then = now


def schedule(x):
    """Share of the peak rate at x of the time: warm-up, plateau, linear to zero."""
    return min(1, x / 0.01 + 0.02) * min(1, max(0, (1 - x) / 0.6))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--vocab", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--minutes", type=float, default=85)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--polite", action="store_true", help="fewer threads while others work (start with nice)")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--muon", type=float, default=0.02)
    a.add_argument("--adam", type=float, default=0.003)
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    tok = bpe.Tokenizer.load(a.vocab)
    model = Starter(Config(vocab=len(tok.vocab)))
    params = list(model.parameters())
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and n.startswith("blk")]
    others = [p for n, p in model.named_parameters() if not (p.ndim == 2 and n.startswith("blk"))]
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, lr=a.adam, betas=(0.9, 0.95), weight_decay=0.0)
    ema = {k: v.clone() for k, v in model.state_dict().items()}
    done, seen, steps = 0.0, 0, 0
    last = os.path.join(a.out, "last.pt")
    if os.path.exists(last):
        c = torch.load(last)
        model.load_state_dict(c["model"])
        muon.load(c["muon"])
        adam.load_state_dict(c["adam"])
        ema, done, seen, steps = c["ema"], c["seconds"], c["tokens"], c["steps"]
    print(sum(p.numel() for p in params), "parameters, from step", steps, flush=True)
    packer = Packer(tok, a.seed * 1000003 + steps)
    choose = torch.Generator().manual_seed(a.seed + steps)
    share = torch.tensor([b[2] for b in BUCKETS])
    start = saved = noted = time.time()
    mean = hit = None

    def save():
        torch.save({"config": model.c.as_dict(), "model": model.state_dict(), "ema": ema, "muon": muon.state(),
                    "adam": adam.state_dict(), "seconds": done, "tokens": seen, "steps": steps, "loss": mean},
                   last + ".new")
        os.replace(last + ".new", last)

    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    polite = Polite(a.threads) if a.polite else None
    begun = done
    while done < a.minutes * 60 and not stop:
        if polite:
            polite.step()
        f = schedule(done / (a.minutes * 60))
        if done > LATE * a.minutes * 60:
            packer.source.kinds = corpus.KINDS_LATE
        bucket = int(torch.multinomial(share, 1, generator=choose))
        ids, pos, doc, tgt, w = packer.batch(bucket)
        loss, logits, at = model.loss(ids, pos, doc, tgt, w)
        for p in params:
            p.grad = None
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step(a.muon * f)
        adam.param_groups[0]["lr"] = a.adam * f
        adam.step()
        steps += 1
        seen += int((doc > 0).sum())
        e = min(EMA, (1 + steps) / (10 + steps))
        with torch.no_grad():
            for k, v in model.state_dict().items():
                ema[k].lerp_(v, 1 - e)
            right = (logits.argmax(-1) == tgt.reshape(-1)[at]).float().mean().item()
        x = loss.item()
        mean = x if mean is None else 0.97 * mean + 0.03 * x
        hit = right if hit is None else 0.97 * hit + 0.03 * right
        now = time.time()
        done = begun + now - start
        if now - noted > 20 or not math.isfinite(x):
            print(f"{done / 60:6.1f} min  step {steps}  {seen / 1e6:.2f} M tokens  {seen / max(done, 1):.0f} tok/s  "
                  f"rate {f:.3f}  loss {mean:.4f}  next token {hit:.4f}  "
                  f"{torch.get_num_threads()} threads", flush=True)
            noted = now
        if now - saved > 180:
            save()
            saved = now
    save()
    print("stopped" if stop else "done", flush=True)


if __name__ == "__main__":
    main()
