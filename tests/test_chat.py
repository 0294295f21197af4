#!/usr/bin/env python3
"""Conversations as a person leads them, through `pumice chat`: the operations, the store, batch of scenarios on the
built-in model. usage: test_chat.py PUMICE PUMICE_GGUF [unittest arguments]"""
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

from cli_support import CPU, PUMICE, TMP, Case, Terminal, path, pumice


def read(name):
    with open(name, encoding="utf-8") as f:
        return f.read()


class Store(Case):
    """A store of its own for each test."""

    def setUp(self):
        self.data = tempfile.mkdtemp(dir=TMP)
        self.env = {**os.environ, "XDG_DATA_HOME": self.data}
        self.dir = os.path.join(self.data, "pumice", "conversations")

    def chat(self, *lines, args=(), code=0, err=None):
        """Answers (standard output) of a chat with these lines; err collects standard error."""
        done = pumice("chat", *CPU, "--temp", "0", *args, stdin="".join(l + "\n" for l in lines), env=self.env)
        self.ok(done, code)
        self.err = done.stderr.decode()
        return done.stdout.decode().splitlines()

    def start(self, line, *args):
        """A chat that has answered one line and waits for more."""
        p = subprocess.Popen([PUMICE, "chat", *CPU, "-q", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=self.env)
        p.stdin.write(line.encode())
        p.stdin.flush()
        p.stdout.readline()
        return p

    def files(self):
        return sorted(f for f in os.listdir(self.dir) if f.endswith(".json")) if os.path.isdir(self.dir) else []


class Scenarios(Store):
    def test_five_turns(self):
        out = self.chat("My name is Ann.", "What is 3 + 4?", "Sort: 3, 1, 2", "What is 5 + 2?", "What is my name?")
        self.assertIn("Ann", out[0])
        self.assertIn("7", out[1])
        self.assertIn("1, 2, 3", out[2])
        self.assertIn("7", out[3])
        self.assertIn("Ann", out[4])

    def test_aside_in_another_language(self):
        out = self.chat("My name is Tom.", "你好", "What is my name?")
        self.assertRegex(out[1], "[\u4e00-\u9fff]")
        self.assertIn("Tom", out[2])

    def test_clear(self):
        out = self.chat("My name is Ann.", "/clear", "What is my name?")
        self.assertNotIn("Ann", out[1])
        self.assertEqual(out[1:], self.chat("What is my name?"))

    def test_reproducible(self):
        lines = ["Hello", "Tell me something.", "What is 3 + 4?"]
        first = self.chat(*lines)
        for _ in range(3):
            self.assertEqual(self.chat(*lines), first)
        self.assertEqual(self.chat(*lines, "/clear", *lines), first + first)
        hot = ["--temp", "1.2", "--seed", "5"]
        self.assertEqual(self.chat(*lines, "/clear", *lines, args=hot), self.chat(*lines, args=hot) * 2)


class Operations(Store):
    def show(self):
        """The rows of the last /show on standard error."""
        return [l for l in self.err.splitlines() if l[:3].strip().isdigit()]

    def test_undo_redo(self):
        out = self.chat("My name is Ann.", "My name is Bob.", "/undo", "What is my name?", "/undo", "/undo", "/redo", "/redo", "/show")
        self.assertIn("Ann", out[2])
        self.assertEqual(len(self.show()[-4:]), 4)
        self.assertIn("Your name is Ann", self.show()[-1])

    def test_regenerate_switch(self):
        self.chat("Tell me something.", "/regenerate", "/show", "/switch 2 1", args=["--temp", "2", "--seed", "1"])
        rows = self.show()
        self.assertIn("(2 of 2)", rows[1])
        self.assertIn("(1 of 2)", rows[-1])

    def test_edit(self):
        out = self.chat("My name is Ann.", "What is my name?", "/edit 1 My name is Bob.", "What is my name?")
        self.assertIn("Ann", out[1])
        self.assertIn("Bob", out[3])
        out = self.chat("Hello", "/edit 2 My words.", "/show 2", "/show")
        self.assertIn("My words.", out)

    def test_branch(self):
        out = self.chat("My name is Ann.", "My name is Bob.", "/branch 2", "What is my name?", "/show")
        self.assertIn("Ann", out[2])
        self.assertIn("(2 of 2)", self.show()[-2])

    def test_continue(self):
        whole = self.chat("Sort: 5, 3, 9, 1")[0]
        out = self.chat("Sort: 5, 3, 9, 1", "/continue", "/continue", "/continue", "/continue", "/show 2", args=["-n", "2"])
        self.assertIn(out[-1], whole)
        self.assertGreater(len(out[-1]), len(out[0]) + 3)
        self.chat("Hello", "/continue", code=1)
        self.assertIn("no answer that was cut", self.err)

    def test_system(self):
        self.chat("/system Be brief.", "/system", "Hello", "/prompt", "/system -", "/system", "/undo", "/system")
        self.assertEqual(self.err.count("[system prompt: Be brief.]"), 2)
        self.assertIn("[no system prompt]", self.err)

    def test_context(self):
        self.chat("Hello", "Hello", "/context", args=["--max-history", "1"])
        self.assertRegex(self.err, r"\[\d+ of 1024 tokens used; the model sees 2 of 2 exchanges\]")
        self.chat("Hello", "Hello", "Hello", "/context", "/show", args=["--max-history", "1"])
        self.assertIn("the model sees 2 of 3 exchanges", self.err)
        self.assertIn("  1* user", self.err)

    def test_faults(self):
        for line in ("/edit", "/edit 9 x", "/branch", "/branch 7", "/switch 1", "/switch 1 5", "/show 4", "/undo", "/redo", "/regenerate",
                     "/continue", "/open", "/open 99", "/open ../../etc/passwd", "/rename", "/search", "/export", "/export x.doc",
                     "/import", "/import no-such.json", "/bogus", "/undo 3", "/delete nope"):
            self.chat(line, code=1)
            self.assertEqual(self.err.count("pumice: "), 1, msg=f"{line}: {self.err}")
            self.assertEqual(self.files(), [], msg=line)


class Keeping(Store):
    def test_kept(self):
        self.chat("My name is Ann.")
        self.assertEqual(len(self.files()), 1)
        file = os.path.join(self.dir, self.files()[0])
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
        for d in (self.dir, os.path.dirname(self.dir)):
            self.assertEqual(stat.S_IMODE(os.stat(d).st_mode), 0o700)
        out = self.chat("What is my name?", args=["--open", "last"])
        self.assertIn("Ann", out[0])
        self.assertEqual(len(self.files()), 1)
        messages = json.loads(read(file))["messages"]
        self.assertEqual([m["role"] for m in messages], ["user", "assistant"] * 2)
        # the generated ids are kept, so that only what is new is computed
        self.chat("What is my name?", "/stats", args=["--open", "1"])
        self.assertRegex(self.err, r"\[prefill \d+ tokens")

    def test_no_history(self):
        self.chat("Hello", "/list", args=["--no-history"], code=1)
        self.assertEqual(self.files(), [])
        self.assertFalse(os.path.exists(self.dir))
        self.chat("/list")
        self.assertEqual(self.files(), [])
        done = pumice("chat", *CPU, "--no-history", "--open", "last", env=self.env)
        self.assertEqual(done.returncode, 1)

    def test_list_search_rename_delete(self):
        self.chat("My name is Ann.", "/new", "Sort: 3, 1, 2", "/rename About sorting", "/new", "你好", "/list", "/search 3, 1", "/search ANN")
        self.assertEqual(len(self.files()), 3)
        listing = [l for l in self.err.splitlines() if "messages  " in l]
        self.assertEqual(len(listing), 5)
        self.assertIn("> ", listing[0])
        self.assertIn("About sorting", listing[3])
        self.assertIn("My name is Ann.", listing[4])
        self.chat("/open last", "/delete", "/list")
        self.assertEqual(len(self.files()), 2)
        self.chat("/delete 2", "/list")
        self.assertEqual(len(self.files()), 1)

    def test_export_import(self):
        for form in ("md", "json", "jsonl"):
            file = path(f"exported.{form}")
            if os.path.exists(file):
                os.remove(file)
            self.chat("/system Be brief.", "My name is Ann.", f"/export {file}")
            text = read(file)
            self.assertIn("Ann", text)
            self.chat(f"/export {file}", code=1)
            self.assertIn("exists", self.err)
            if form == "json":
                self.assertEqual([m["role"] for m in json.loads(text)["messages"]], ["system", "user", "assistant"])
            if form == "md":
                continue
            out = self.chat(f"/import {file}", "What is my name?")
            self.assertIn("Ann", out[-1])

    def test_two_programs(self):
        self.chat("Hello")
        one = self.start("Hello\n", "--open", "last")
        two = pumice("chat", *CPU, "--open", "last", env=self.env)
        self.assertEqual(two.returncode, 1)
        self.assertIn(b"open in another", two.stderr)
        self.chat("Hello")  # another conversation is no matter
        one.kill()
        one.communicate()
        self.chat("Hello", args=["--open", self.files()[0][:-5]])

    def test_question_survives(self):
        p = self.start("Hello\nTell me something.\n")
        p.send_signal(signal.SIGKILL)
        p.communicate()
        self.assertIn("Hello", read(os.path.join(self.dir, self.files()[0])))

    def test_no_place(self):
        file = path("not-a-directory", b"")
        done = pumice("chat", *CPU, stdin="Hello\n", env={**self.env, "XDG_DATA_HOME": file})
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"not kept", done.stderr)
        self.assertTrue(done.stdout.strip())

    def test_read_only_later(self):
        """The directory goes away in the middle: said once, the chat goes on, exit code 1."""
        p = self.start("Hello\n")
        time.sleep(0.2)
        os.rename(self.dir, self.dir + ".away")
        path(self.dir, b"")
        out, err = p.communicate(b"Hello\nHello\n", timeout=60)
        self.assertEqual(p.returncode, 1)
        self.assertEqual(len(out.splitlines()), 2)
        self.assertEqual(err.count(b"pumice: "), 1, msg=err)


    def test_not_saved_not_lost(self):
        """A conversation that cannot be saved stays until it is exported."""
        other, copy = path("other.jsonl", b'{"role":"user","content":"x"}\n'), path("kept.json")
        p = self.start("My name is Ann.\n", "--temp", "0")
        time.sleep(0.2)
        os.rename(self.dir, self.dir + ".away")
        path(self.dir, b"")
        ask = "What is my name?\n"
        out, err = p.communicate(f"{ask}/new\n/open last\n/import {other}\n{ask}/export {copy}\n/new\n{ask}".encode(), timeout=60)
        self.assertEqual(p.returncode, 1)
        self.assertEqual([b"Ann" in l for l in out.splitlines()], [True, True, False])
        self.assertEqual(err.count(b"/export FILE, then say it again"), 2, msg=err)  # /open finds nothing there
        self.assertEqual([m["role"] for m in json.loads(read(copy))["messages"]], ["user", "assistant"] * 3)
        os.remove(self.dir)
        os.rename(self.dir + ".away", self.dir)

    def test_system_alone(self):
        self.chat("/system Be kind.", "/quit", args=["--system", "Be brief."])
        self.assertEqual(self.files(), [])
        self.chat("word " * 200, args=["--system", "Be brief.", "-c", "64"], code=1)  # saved, and taken back
        self.assertEqual(self.files(), [])
        self.chat("Hello", args=["--system", "Be brief."])
        self.assertEqual(len(self.files()), 1)

    def test_file(self):
        file = path("notes of today.txt", "one\r\n/two \u00e9\r\n".encode())
        self.chat(f"/file {file}", f"/file {file}  What is this?", f"/file {file}.gone", "/file", f"/file {path('empty', b'')}", code=1)
        users = [m["content"] for m in json.loads(read(os.path.join(self.dir, self.files()[0])))["messages"] if m["role"] == "user"]
        self.assertEqual(users, ["one\n/two \u00e9", "one\n/two \u00e9\n\nWhat is this?"])
        self.assertEqual(self.err.count("pumice: "), 3, msg=self.err)




class OnTerminal(Store):
    def terminal(self, *args, term="xterm"):
        with unittest.mock.patch.dict(os.environ, {**self.env, "TERM": term}):
            t = Terminal("chat", *CPU, "--temp", "0", *args)
        self.addCleanup(t.close)
        t.read_until(b"> ")
        return t

    def users(self):
        return [m["content"] for m in json.loads(read(os.path.join(self.dir, self.files()[0])))["messages"] if m["role"] == "user"]

    def test_paste(self):
        t = self.terminal("-n", "4")
        for sent, typed in ((b"one\n\n  two\\\n three", b"\n"),  # an Enter behind the last line
                            (b"a\nb\n", b" and?\n"), (b"single", b"\n"), (b"// no comment\n/quit\n", b"\n"),
                            (b"x\ny\n", b"\x04")):
            t.send(sent)
            time.sleep(0.3)
            t.send(typed)
            t.read_until(b"> ")
        t.send(b"dropped\nx\n")
        t.read_until(b". ")
        t.send(b"\x03")
        t.read_until(b"Ctrl-C stops an answer")
        t.read_until(b"> ")
        t.send(b"/context\n")
        t.read_until(b"tokens used")
        t.read_until(b"> ")
        t.send(b"/quit\n")
        self.assertEqual(t.wait(), 0)
        self.assertEqual(self.users(), ["one\n\n  two\\\n three", "a\nb\n and?", "single", "// no comment\n/quit", "x\ny"])
        t = self.terminal("-n", "1", "-c", "256")
        many = "".join(f"line {i} of a longer text\n" for i in range(400))  # more than the terminal's own buffer
        for at in range(0, len(many), 2000):  # as a terminal would, as fast as it is read
            t.send(many[at:at + 2000].encode())
            t.read_until(b"\n")
        time.sleep(0.3)
        t.send(b"\n")
        t.read_until(b"the message is too long")
        t.read_until(b"> ")
        t.send(b"/quit\n")
        self.assertEqual(t.wait(), 0)
        self.assertEqual(t.seen.count(b"pumice: "), 1)

    def test_no_escapes(self):
        t = self.terminal(term="dumb")
        t.send(b"\x04")
        self.assertEqual(t.wait(), 0)
        self.assertNotIn(b"\x1b", t.seen)

    def test_end_holds(self):
        t = self.terminal()
        t.send(b"Hello\n")
        t.read_until(b"> ")
        time.sleep(0.2)
        os.rename(self.dir, self.dir + ".away")
        path(self.dir, b"")
        t.send(b"Hello\n")
        t.read_until(b"> ")
        t.send(b"/quit\n")
        t.read_until(b"once more ends without it")
        t.read_until(b"> ")
        t.send(b"\x04")
        self.assertEqual(t.wait(), 0)
        os.remove(self.dir)

    def test_list(self):
        t = self.terminal()
        t.send(b"Hello\n")
        t.read_until(b"> ")
        t.send(b"/list\n")
        t.read_until(b"2 messages")
        t.read_until(b"> ")
        t.send(b"/quit\n")
        self.assertEqual(t.wait(), 0)


if __name__ == "__main__":
    program = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], exit=False, verbosity=2)
    sys.exit(0 if program.result.wasSuccessful() else 1)
