# SPDX-License-Identifier: MIT
"""Byte-level BPE: the Qwen2 pre-tokeniser, vocabulary training, encoding.

    bpe.py OUT.json [CHARACTERS] [SEED]     train a vocabulary on generated text
"""
import collections
import json
import re
import sys
import unicodedata

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>",                     # control
           "<think>", "</think>", "<tool_call>", "</tool_call>",               # user-defined
           "<tool_response>", "</tool_response>"]
CONTROL = 3      # the first three of them
SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def char_class(major):
    """All characters of a Unicode major category as the inside of a [...]."""
    out, first = [], None
    for cp in range(0x110000 + 1):
        inside = cp < 0x110000 and unicodedata.category(chr(cp))[0] == major
        if inside and first is None:
            first = cp
        elif not inside and first is not None:
            out.append(f"\\U{first:08x}-\\U{cp - 1:08x}")
            first = None
    return "".join(out)


def make_pattern():
    L, N = char_class("L"), char_class("N")
    return re.compile(
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
        f"|[^\\r\\n{L}{N}]?[{L}]+"
        f"|[{N}]"
        f"| ?[^{SPACE}{L}{N}]+[\\r\\n]*"
        f"|[{SPACE}]*[\\r\\n]+"
        f"|[{SPACE}]+(?![^{SPACE}])"
        f"|[{SPACE}]+")


def byte_map():
    """The GPT-2 mapping of bytes to printable characters."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {}, 0
    for b in range(256):
        if b in keep:
            table[b] = chr(b)
        else:
            table[b] = chr(256 + extra)
            extra += 1
    return table


BYTES = byte_map()
UNBYTES = {c: b for b, c in BYTES.items()}


def train(text, size):
    """Learn merges on text until the vocabulary has `size` entries."""
    pattern, counts = make_pattern(), collections.Counter()
    for part in re.split("|".join(map(re.escape, SPECIAL)), unicodedata.normalize("NFC", text)):
        counts.update(pattern.findall(part))
    words = [[BYTES[b] for b in w.encode()] for w in counts]
    freq = list(counts.values())
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, w in enumerate(words):
        for p in zip(w, w[1:]):
            pairs[p] += freq[i]
            where[p].add(i)
    vocab = [BYTES[b] for b in range(256)]
    known, refused, merges = set(vocab), set(), []
    while len(vocab) + len(SPECIAL) < size and pairs:
        best = max(pairs, key=lambda p: (pairs[p], p))
        if pairs[best] < 2:
            break
        joined = best[0] + best[1]
        if not whole(joined):
            del pairs[best]
            refused.add(best)
            continue
        merges.append(best)
        if joined not in known:
            known.add(joined)
            vocab.append(joined)
        for i in list(where[best]):
            w = words[i]
            for p in zip(w, w[1:]):
                if p not in refused:
                    pairs[p] -= freq[i]
            w = words[i] = merge(w, best, joined)
            for p in zip(w, w[1:]):
                if p not in refused:
                    pairs[p] += freq[i]
                    where[p].add(i)
        del pairs[best], where[best]
    return {"vocab": vocab + SPECIAL, "merges": [f"{a} {b}" for a, b in merges]}


def whole(token):
    """No token holds a part of a character beside something else: whole
    characters, or bytes of a single one.  It keeps names copyable piece by piece."""
    raw = bytes(UNBYTES[c] for c in token)
    try:
        raw.decode()
        return True
    except UnicodeDecodeError:
        return all(0x80 <= b < 0xc0 for b in raw[1:]) and len(raw) < 4


def merge(word, pair, joined):
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and word[i] == pair[0] and word[i + 1] == pair[1]:
            out.append(joined)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


class Tokenizer:
    def __init__(self, data):
        self.vocab = data["vocab"]
        self.merges = data["merges"]
        self.ids = {t: i for i, t in enumerate(self.vocab)}
        self.rank = {tuple(m.split(" ")): i for i, m in enumerate(self.merges)}
        self.pattern = make_pattern()
        self.special = re.compile("(" + "|".join(re.escape(s) for s in SPECIAL) + ")")
        self.cache = {}
        self.eot, self.im_start, self.im_end = (self.ids[s] for s in SPECIAL[:CONTROL])

    @staticmethod
    def load(path):
        """From the file that train() wrote, or from a GGUF file."""
        if path.endswith(".gguf"):
            import gguf
            f = gguf.read(path)[0]
            return Tokenizer({k: f["tokenizer.ggml." + g] for k, g in (("vocab", "tokens"), ("merges", "merges"))})
        with open(path, encoding="utf-8") as f:
            return Tokenizer(json.load(f))

    def word(self, text):
        ids = self.cache.get(text)
        if ids is None:
            w = [BYTES[b] for b in text.encode()]
            while len(w) > 1:
                best = min(zip(w, w[1:]), key=lambda p: self.rank.get(p, 1 << 30))
                if best not in self.rank:
                    break
                w = merge(w, best, best[0] + best[1])
            ids = [self.ids[t] for t in w]
            if len(self.cache) < 200000:
                self.cache[text] = ids
        return ids

    def encode(self, text):
        """Token ids of a text in which the special tokens are recognised."""
        ids = []
        for part in self.special.split(unicodedata.normalize("NFC", text)):
            if part in SPECIAL:
                ids.append(self.ids[part])
            else:
                for w in self.pattern.findall(part):
                    ids.extend(self.word(w))
        return ids

    def decode(self, ids):
        raw = b""
        for i in ids:
            t = self.vocab[i]
            raw += t.encode() if t in SPECIAL else bytes(UNBYTES[c] for c in t)
        return raw.decode("utf-8", "replace")


def render(messages, prompt=False):
    """ChatML; the same as the chat template that export.py writes."""
    text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return text + ("<|im_start|>assistant\n" if prompt else "")


def main():
    import corpus
    characters = int(sys.argv[2]) if len(sys.argv) > 2 else 4_000_000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    source, parts, total = corpus.Corpus(seed), [], 0
    while total < characters:
        parts.append(render(source.conversation()))
        total += len(parts[-1])
    data = train("\n".join(parts), 2048)
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        json.dump(data, f, ensure_ascii=False)
    print(len(data["vocab"]), "entries,", len(data["merges"]), "merges")


if __name__ == "__main__":
    main()
