#!/usr/bin/env python3
"""The starter model's golden prompts: ids as the recipe's tokenizer makes them, greedy continuation as PyTorch makes it in f32.

usage: test_golden.py PUMICE GOLDEN.jsonl [DEVICE ...]
"""
import json
import subprocess
import sys

pumice, golden, devices = sys.argv[1], sys.argv[2], sys.argv[3:] or ["cpu", "software"]
rows = [json.loads(line) for line in open(golden, encoding="utf-8")]
assert len(rows) >= 5, "too few golden rows"
failures = 0


def run(*args, stdin=""):
    return subprocess.run([pumice, *args], input=stdin, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout




def chatml(messages):
    turns = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return turns + "<|im_start|>assistant\n"


texts = [chatml(r["messages"]) for r in rows]
lines = run("tokenize", "--jsonl", stdin="".join(json.dumps(t) + "\n" for t in texts)).splitlines()
for text, row, line in zip(texts, rows, lines):
    if json.loads(line) != row["ids"]:
        failures += 1
        print(f"ids of {text!r}: {line}, want {row['ids']}")
for device in devices:
    for row in rows:
        out = json.loads(run("logits", "--device", device, "--tokens", ",".join(map(str, row["ids"])), "--greedy",
                             str(len(row["greedy"])), "-o", "json", "-q"))
        got = [p["id"] for p in out["positions"]]
        if got != row["greedy"]:
            failures += 1
            print(f"{device}: after {row['messages']}: {got}, want {row['greedy']}")
print(f"{len(rows)} golden prompts on {', '.join(devices)}: {failures} failures")
sys.exit(1 if failures else 0)
