#!/usr/bin/python3
"""Makes the vectors of SentencePiece vocabularies with SentencePiece itself (Debian: python3-sentencepiece).

    tests/vectors/tokenizer/make_spm_vectors.py           trains the vocabulary anew and rewrites every file
    tests/vectors/tokenizer/make_spm_vectors.py --show K  prints random string K and its ids

Files: spm_vocab.jsonl    ["text", score, type] a token, as a GGUF file has them: BPE with byte fallback and a space in front,
                          as Llama 2's is, trained on the texts of natural.jsonl
       spm_natural.jsonl  ["text", [ids]] of every fifth text of natural.jsonl
       spm_random.txt     one 32-bit hash of the ids of each 8 random strings
The strings are those of make_vectors.mjs (pools.json and its PRNG); tests/test_tokenizer.c has the same generator in C.
"""
import io
import json
import os
import sys

import sentencepiece

HERE = os.path.dirname(os.path.abspath(__file__))
N_RANDOM, BLOCK, N_VOCAB = 24000, 8, 1500
MASK = 0xFFFFFFFF


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return f.read()


class Random:  # xorshift32
    def __init__(self, k):
        self.s = (k + 1) * 0x9E3779B1 & MASK or 1
        for _ in range(8):
            self.next(2)

    def next(self, n):
        self.s ^= self.s << 13 & MASK
        self.s ^= self.s >> 17
        self.s ^= self.s << 5 & MASK
        return self.s % n


def random_string(pools, k):
    r, kind, text = Random(k), k % 6, ""
    for _ in range(1 + r.next([12, 16, 24, 16, 30, 60][kind])):
        way = r.next(4) if kind == 3 else kind
        if way == 0:
            text += pools["pieces"][r.next(len(pools["pieces"]))]
        elif way == 2:
            text += pools["keys"][r.next(len(pools["keys"]))]
        elif way in (1, 4):
            ranges = pools["assigned" if way == 1 else "marks"]
            low, high = ranges[r.next(len(ranges))]
            text += chr(low + r.next(high - low + 1))
        elif r.next(12):
            text += chr(32 + r.next(95))
        else:
            text += chr(9 + r.next(2))
    return text


def hash_ids(h, ids):
    for v in [len(ids), *ids]:
        for b in range(0, 32, 8):
            h = (h ^ v >> b & 255) * 0x01000193 & MASK
    return h


def train(texts):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, model_type="bpe", vocab_size=N_VOCAB, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.98, minloglevel=2,
        num_threads=1)
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def write(name, lines, made_by):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as f:
        f.write(f"# {made_by}\n" + "".join(line + "\n" for line in lines))


def main():
    pools = json.loads(read("pools.json"))
    natural = [json.loads(line)[0] for line in read("natural.jsonl").splitlines() if line.startswith("[")]
    spm = train(natural)
    if sys.argv[1:2] == ["--show"]:
        text = random_string(pools, int(sys.argv[2]))
        print(json.dumps(text, ensure_ascii=False), spm.encode(text))
        return
    made_by = f"made by make_spm_vectors.py: sentencepiece {sentencepiece.__version__}"
    kinds = [(spm.is_unknown, 2), (spm.is_control, 3), (spm.is_byte, 6), (spm.is_unused, 5)]
    vocab = [[spm.id_to_piece(i), spm.get_score(i), next((n for test, n in kinds if test(i)), 1)] for i in range(len(spm))]
    write("spm_vocab.jsonl", (json.dumps(v, ensure_ascii=False) for v in vocab), made_by)
    write("spm_natural.jsonl", (json.dumps([t, spm.encode(t)], ensure_ascii=False) for t in natural[::5]), made_by)
    hashes = []
    for k in range(N_RANDOM):
        hashes[len(hashes):] = [0x811C9DC5] if k % BLOCK == 0 else []
        hashes[-1] = hash_ids(hashes[-1], spm.encode(random_string(pools, k)))
    rows = [" ".join(f"{h:08x}" for h in hashes[i:i + 8]) for i in range(0, len(hashes), 8)]
    write("spm_random.txt", rows, f"{made_by}; {len(hashes)} hashes of {BLOCK} strings each")


main()
