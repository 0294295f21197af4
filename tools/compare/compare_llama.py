#!/usr/bin/env python3
"""Compares pumice's log-probabilities with llama.cpp's on one GGUF file, step by step along pumice's greedy path.

usage: compare_llama.py MODEL.gguf [--pumice PATH] [--llama-server 'COMMAND'] [--llama-model FILE] [--device NAME]
                        [--steps 32] [--limit 0.01]

Starts `llama-server` on the loopback interface (any build; give the command that runs it, e.g. with a wrapper), asks both
programs for the top 20 log-probabilities of the next token after the same ids, and prints the largest and the root mean square
difference among the ids that both list, and every step where the first token differs although it leads by more than the limit. Exit 1 if a limit is
broken. Only the standard library is used.
"""
import argparse
import json
import shlex
import subprocess
import sys
import time
import urllib.request

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("model")
p.add_argument("--pumice", default="build/release/pumice")
p.add_argument("--llama-server", default="llama-server")
p.add_argument("--llama-model", help="what llama-server loads, if not MODEL: e.g. the same weights dequantised to F32, since "
               "llama.cpp rounds activations to 8 bits where weights are quantised, and to f16 where they are F16")
p.add_argument("--device", default="auto")
p.add_argument("--steps", type=int, default=32)
p.add_argument("--limit", type=float, default=0.01)
p.add_argument("--verbose", action="store_true", help="the largest difference of each step")
p.add_argument("--port", type=int, default=18080)
p.add_argument("--prompt", default="9707,11,1879,0,358,1079,264,4285,1614,429", help="token ids")
a = p.parse_args()


def pumice():
    out = subprocess.run([a.pumice, "logits", "-m", a.model, "--device", a.device, "--tokens", a.prompt, "--greedy",
                          str(a.steps), "--top", "20", "-o", "json"], check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)["positions"]


def post(body):
    request = urllib.request.Request(f"http://127.0.0.1:{a.port}/completion", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=600))


def wait(server):
    for _ in range(600):
        if server.poll() is not None:
            sys.exit("compare: llama-server ended; run its command by hand to see why")
        try:
            if json.load(urllib.request.urlopen(f"http://127.0.0.1:{a.port}/health", timeout=2)).get("status") == "ok":
                return
        except OSError:
            pass
        time.sleep(0.5)
    sys.exit("compare: llama-server did not become ready in five minutes")


positions = pumice()
server = subprocess.Popen(shlex.split(a.llama_server) + ["-m", a.llama_model or a.model, "--port", str(a.port), "-c", "1024", "-np", "1"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
worst, squares, flips, compared, skipped = 0.0, 0.0, 0, 0, 0
try:
    wait(server)
    ids = [int(x) for x in a.prompt.split(",")]
    for step, ours in enumerate(positions):
        reply = post({"prompt": ids, "n_predict": 1, "n_probs": 20, "temperature": 0, "cache_prompt": True})
        if not reply.get("completion_probabilities"):  # its token ends the text, or is only part of a UTF-8 character
            skipped += 1
            ids.append(ours["id"])
            continue
        theirs = reply["completion_probabilities"][0]
        their_top = {t["id"]: t["logprob"] for t in theirs["top_logprobs"]}
        our_top = dict((t[0], t[1]) for t in ours["top"])
        both = our_top.keys() & their_top.keys()
        differences = [abs(our_top[i] - their_top[i]) for i in both]
        compared += len(both)
        squares += sum(d * d for d in differences)
        if a.verbose:
            print(f"step {step}: {max(differences):.5f}")
        worst = max([worst] + differences)
        first = max(their_top, key=their_top.get)
        if first != ours["id"]:
            lead = abs(their_top[first] - their_top.get(ours["id"], -99.0))
            kind = "near-tie" if lead <= 2 * a.limit else "DIFFERENT"
            flips += kind == "DIFFERENT"
            print(f"step {step}: pumice {ours['id']}, llama.cpp {first}, apart {lead:.4f} ({kind})")
        ids.append(ours["id"])
finally:
    server.terminate()
    server.wait()
print(f"{len(positions)} steps, {compared} log-probabilities compared: largest difference {worst:.5f} (limit {a.limit}), "
      f"root mean square {(squares / max(compared, 1)) ** 0.5:.5f}, {flips} different tokens, {skipped} steps without an answer")
sys.exit(1 if worst > a.limit or flips or compared < 10 * len(positions) else 0)
