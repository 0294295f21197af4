"""What test_cli.py stands on: running the programs, files to try them with, a pseudo-terminal."""
import atexit
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

PUMICE, GGUF = (os.path.abspath(p) for p in sys.argv[1:3])
COMMANDS = ["chat", "run", "template", "tokenize", "logits", "bench", "fit", "devices", "selftest", "tune"]
CPU = ["--device", "cpu"]
TIMEOUT = 300
TMP = tempfile.mkdtemp(prefix="pumice-test-")
atexit.register(shutil.rmtree, TMP, ignore_errors=True)
os.environ["XDG_DATA_HOME"] = os.path.join(TMP, "data")  # conversations are kept there
STORIES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "shared", "data", "stories260K",
                       "stories260K-f32.gguf")
STARTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "app", "starter.gguf")


def pumice(*args, stdin="", **kwargs):
    if isinstance(stdin, str):
        stdin = stdin.encode()
    return subprocess.run([PUMICE, *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=TIMEOUT, **kwargs)


def path(name, data=None):
    p = os.path.join(TMP, name)
    if data is not None:
        with open(p, "wb") as f:
            f.write(data)
    return p


class Case(unittest.TestCase):
    def ok(self, done, code=0):
        self.assertEqual(done.returncode, code, msg=f"{done.args}\n{done.stdout!r}\n{done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    def fails(self, code, *args, stdin=""):
        """Exit code, nothing on stdout, exactly one line `pumice: ...` on stderr; returns that line."""
        done = pumice(*args, stdin=stdin)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(done.returncode, code, msg=f"{done.args}\n{done.stderr.decode()}")
        self.assertEqual(done.stdout, b"")
        errors = [l for l in lines if l.startswith("pumice: ")]
        self.assertEqual(len(errors), 1, msg=lines)
        self.assertEqual(lines[-1], errors[0])
        self.assertNotIn("(null)", errors[0])
        return errors[0]


def made(shape):
    """A model of `pumice-gguf make`, made once."""
    p = path(shape + ".gguf")
    if not os.path.exists(p):
        subprocess.run([GGUF, "make", "--shape", shape, "--type", "Q8_0", "-o", p], check=True, stdout=subprocess.DEVNULL)
    return p


def vulkan():
    done = pumice("devices", "-o", "json")
    try:
        return any(d["usable"] and d["kind"] != "cpu" for d in json.loads(done.stdout))
    except (ValueError, KeyError, TypeError):
        return True  # the Devices tests tell


def long_model():
    """The starter model without the tokens that end an answer: it goes on until the context is full."""
    p = path("endless.gguf")
    if not os.path.exists(p):
        with open(STARTER, "rb") as f:
            data = f.read()
        for old, new in ((b"ggml.eos_token_id", b"ggml.eos_token_ix"), (b"ggml.eot_token_id", b"ggml.eot_token_ix"),
                         (b"<|im_end|>", b"<|im_enx|>"), (b"<|endoftext|>", b"<|endoftexx|>")):
            data = data.replace(old, new)
        path("endless.gguf", data)
    return p


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(PUMICE, [PUMICE, *args])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        self.seen = self.pending = b""

    def read_until(self, what, timeout=60):
        """Consumes the output up to the end of `what` (bytes), or until `what` (a function of the output) is true."""
        end = time.time() + timeout
        while True:
            if callable(what):
                n = len(self.pending) if what(self.pending) else -1
            else:
                n = self.pending.find(what) + len(what) if what in self.pending else -1
            if n >= 0:
                got, self.pending = self.pending[:n], self.pending[n:]
                return got
            if not select.select([self.fd], [], [], max(0, end - time.time()))[0]:
                raise AssertionError(f"waited for {what!r}, saw {self.pending!r}")
            try:
                part = os.read(self.fd, 65536)
            except OSError:
                part = b""
            if not part:
                raise AssertionError(f"ended before {what!r}, saw {self.pending!r}")
            self.pending += part
            self.seen += part

    def send(self, data):
        os.write(self.fd, data)

    def wait(self, timeout=60):
        end = time.time() + timeout
        while time.time() < end:
            select.select([self.fd], [], [], 0.05)
            try:
                self.seen += os.read(self.fd, 65536) if select.select([self.fd], [], [], 0)[0] else b""
            except OSError:
                pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"does not end, saw {self.seen!r}")

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
