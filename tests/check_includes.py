#!/usr/bin/env python3
"""Fails when a file includes what its room may not see (ARCHITECTURE.md, "Who may include whom")."""
import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
BASE = {"base", "pumice", "platform"}
ROOMS = {  # room -> own headers it may include, by stem
    "runtime/base": {"base", "pumice"},
    "runtime/platform": BASE,
    "runtime/gguf": BASE | {"gguf"},
    "runtime/quant": BASE | {"gguf", "quant"},
    "tokenizer": {"base", "pumice", "tokenizer", "unicode", "unicode_tables", "split", "bpe", "vocabulary", "template",
                  "json", "jinja_value", "jinja_syntax", "jinja_parser", "jinja_run", "jinja_unicode", "jinja_unicode_tables"},
}
OS = re.compile(r'#\s*include\s*<(unistd|pthread|sys/\w+|fcntl|dlfcn|windows|sched|dirent)\.?h?>')
VULKAN = re.compile(r'#\s*include\s*[<"]vulkan/')
SDL = re.compile(r'#\s*include\s*[<"]SDL')
OWN = re.compile(r'#\s*include\s*"([^"]+)"')

problems = []
for path in sorted(ROOT.rglob("*.[ch]")):
    rel = path.relative_to(ROOT).as_posix()
    top = rel.split("/")[0]
    if top not in ("runtime", "tokenizer", "app", "tools"):
        continue
    text = path.read_text(encoding="utf-8")
    if VULKAN.search(text) and not rel.startswith("runtime/gpu/"):
        problems.append(f"{rel}: only runtime/gpu/ may include vulkan")
    if SDL.search(text) and not rel.startswith("app/window/"):
        problems.append(f"{rel}: only app/window/ may include SDL")
    if top in ("runtime", "tokenizer") and OS.search(text) and rel != "runtime/platform.c":
        problems.append(f"{rel}: only runtime/platform.c may include operating-system headers")
    if top in ("runtime", "tokenizer") and re.search(r'\b(printf|puts|putchar|exit|abort)\s*\(', re.sub(r'/\*.*?\*/', '', text, flags=re.S)):
        problems.append(f"{rel}: runtime/ and tokenizer/ never print and never exit")
    stems = {Path(i).stem for i in OWN.findall(text)}
    room = next((r for r in ROOMS if rel.startswith(r)), None)
    if room and not stems <= ROOMS[room] | {path.stem}:
        problems.append(f"{rel}: may not include {', '.join(sorted(stems - ROOMS[room]))}")
    if top == "app":
        for include in OWN.findall(text):
            stem = Path(include).stem
            if "gpu/" in include or "cpu/" in include or (stem in ("gguf", "quant", "ops", "model", "forward", "kv")):
                problems.append(f"{rel}: app/ may not include {include}")
    if rel.startswith("runtime/cpu/") and any("gpu/" in i for i in OWN.findall(text)):
        problems.append(f"{rel}: cpu/ may not include gpu/")
for p in problems:
    print(p)
sys.exit(1 if problems else 0)
