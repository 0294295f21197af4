#!/usr/bin/env python3
"""Speed side by side: pumice bench and llama-bench in turns on one file, and the ratio of their medians.

    tools/compare/bench_llama.py FILE.gguf --pumice 'build/release/pumice' --llama-bench 'llama-bench' -p 64 -n 8 --rounds 5

Both commands may have words before them ("ssh box llama-bench") and after them ("pumice bench --device cpu": the word bench is
added where it is missing). Machines are noisy: the two alternate, each round runs both, and the table gives median, best and
the ratio of the medians. Exits with 77 when llama-bench cannot be run.
"""
import argparse
import json
import shlex
import shutil
import statistics
import subprocess
import sys


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)} failed:\n{done.stderr[-2000:]}")
    rows = json.loads(done.stdout[done.stdout.index("["):])
    return {(r["n_prompt"], r["n_gen"], r["n_depth"]): r["avg_ts"] for r in rows}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("file")
    a.add_argument("--pumice", default="build/release/pumice")
    a.add_argument("--llama-bench", default="llama-bench")
    a.add_argument("-p", default="64", help="prompt tokens, as both take them")
    a.add_argument("-n", default="8", help="generated tokens")
    a.add_argument("-d", default="0", help="depth")
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("-o", choices=["md", "json"], default="md")
    o = a.parse_args()
    ours, theirs = shlex.split(o.pumice), shlex.split(o.llama_bench)
    if shutil.which(theirs[0]) is None:
        print(f"skipped: there is no {theirs[0]}")
        sys.exit(77)
    if "bench" not in ours:
        ours.insert(1, "bench")
    common = ["-m", o.file, "-p", o.p, "-n", o.n, "-d", o.d, "-r", "1", "-o", "json"]
    seen = {}
    for i in range(o.rounds):
        for side, command in (("pumice", ours), ("llama", theirs)) if i % 2 == 0 else (("llama", theirs), ("pumice", ours)):
            for test, rate in run(command + common).items():
                seen.setdefault(test, {}).setdefault(side, []).append(rate)
    rows = []
    for (p, n, d), rates in sorted(seen.items(), key=lambda r: (r[0][2], r[0][1], r[0][0])):
        if len(rates) != 2:
            continue
        row = {"test": (f"tg{n}" if n else f"pp{p}") + (f" @ d{d}" if d else "")}
        for side in ("pumice", "llama"):
            row[side], row[side + "_best"] = statistics.median(rates[side]), max(rates[side])
        row["ratio"] = row["pumice"] / row["llama"]
        rows.append(row)
    if o.o == "json":
        print(json.dumps(rows))
        return
    print(f"| test | pumice tok/s (best) | llama.cpp tok/s (best) | ratio |\n|---|---|---|---|")
    for r in rows:
        print(f"| {r['test']} | {r['pumice']:.2f} ({r['pumice_best']:.2f}) | {r['llama']:.2f} ({r['llama_best']:.2f}) | {r['ratio']:.2f} |")


if __name__ == "__main__":
    main()
