"""Throughput must not fall as the batch grows: tokens a second of prompts of 2 to 64 tokens, by `pumice bench`.

usage: test_bench.py PUMICE PUMICE-GGUF [DEVICE ...]. A batch may be slower than a smaller one by SLACK at most, of the best
repetitions. What falls is measured again beside the batch it fell behind, up to ROUNDS times, and fails if it falls every
time: a cliff is there each time, a slow or a lucky sample is not. One thread, so that no run waits for a second processor.
What still falls on a machine with more programs than processors says nothing: then the test is skipped (77).
"""
import json
import os
import subprocess
import sys
import tempfile
import time

BATCHES = [2, 3, 4, 5, 6, 8, 9, 12, 16, 17, 24, 32, 33, 48, 64]
SLACK, ROUNDS = 0.15, 6
MODEL = ["--shape", "qwen3-0.6b", "--layers", "1", "--dim", "512", "--heads", "8", "--kv-heads", "4", "--ffn", "1536",
         "--vocab-size", "1024", "--type", "Q4_K"]


def measure(pumice, model, device, batches):
    args = [pumice, "bench", "-m", model, "-p", ",".join(map(str, batches)), "-n", "0", "-r", "3", "-o", "jsonl", "-q",
            "-t", "1", "--device", device]
    out = subprocess.run(args, stdout=subprocess.PIPE, check=True, timeout=300, env={**os.environ, "LP_NUM_THREADS": "1"}).stdout
    return {r["n_prompt"]: max(r["samples_ts"]) for r in map(json.loads, out.splitlines())}


def falls(best):
    """The batches slower than SLACK allows, with the fastest smaller one of each."""
    found = {}
    for n in BATCHES:
        fastest = max((m for m in BATCHES if m <= n), key=lambda m: best[m])
        if best[n] < best[fastest] * (1 - SLACK):
            found[n] = fastest
    return found


def main():
    pumice, gguf, *devices = sys.argv[1:]
    failed = False
    assert falls({n: n for n in BATCHES}) == {}
    assert falls({n: 64 - n for n in BATCHES}), "the test cannot fail"
    with tempfile.TemporaryDirectory() as directory:
        model = os.path.join(directory, "bench.gguf")
        subprocess.run([gguf, "make", *MODEL, "-o", model], check=True, stdout=subprocess.DEVNULL)
        for device in devices:
            best = measure(pumice, model, device, BATCHES)
            print(device + ":", ", ".join(f"pp{n} {best[n]:.0f}" for n in BATCHES))
            found = falls(best)
            for i in range(ROUNDS):  # a lucky sample must not stand for ever: each round forgets the one before
                if not found:
                    break
                time.sleep(i / 2)
                again = measure(pumice, model, device, sorted({*found, *found.values()}))
                found = {n: m for n, m in found.items() if again[n] < again[m] * (1 - SLACK)}
            for n, fastest in found.items():
                print(f"FAIL {device}: pp{n} {again[n]:.1f} tok/s, pp{fastest} {again[fastest]:.1f}")
            failed = failed or bool(found)
    if failed and os.getloadavg()[0] > 1.5 * os.cpu_count():
        print(f"skipped: the load is {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        sys.exit(77)
    sys.exit(failed)


main()
