"""Messages of the Register stream, written by hand from the published numbers, and programs that tell what happens."""
import json
import os
import queue
import subprocess
import threading

REGISTER = "/spacemesh.v1.PostService/Register"
STATES = "/spacemesh.v1.PostInfoService/PostStates"
WATCHDOG_S = 120  # ends a test that hangs; nothing is measured with it


# ---- protobuf ----

def varint(n):
    out = bytearray()
    while True:
        out.append((n & 127) | (128 if n > 127 else 0))
        n >>= 7
        if not n:
            return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """{number: [values]}; varints as integers, the rest as bytes."""
    out, i = {}, 0

    def take():
        nonlocal i
        n = shift = 0
        while True:
            byte = data[i]
            i += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    while i < len(data):
        key = take()
        if key & 7 == 0:
            value = take()
        else:
            assert key & 7 == 2, f"wire type {key & 7}"
            n = take()
            value, i = data[i:i + n], i + n
            assert len(value) == n, "cut short"
        out.setdefault(key >> 3, []).append(value)
    return out


def meta(node_id, atx, nonce=7, units=2, labels=4096):
    return (field(1, node_id) + field(2, atx) + (b"" if nonce is None else field(3, nonce)) + field(4, units) +
            field(5, labels))


ASK_METADATA = field(1, b"")
IN_PROGRESS = field(2, field(1, 1))
ERROR = field(2, field(1, 2))


def ask_proof(challenge):
    return field(2, field(1, challenge))


def say_metadata(m):
    return field(1, field(1, m))


def say_proof(nonce, indices, pow_, challenge, m):
    proof = (field(1, nonce) if nonce else b"") + field(2, indices) + (field(3, pow_) if pow_ else b"")
    return field(2, field(1, 1) + field(2, proof) + field(3, field(1, challenge) + field(2, m)))


# ---- programs ----

class Program:
    """A process that prints a line of JSON for each event."""

    def __init__(self, argv, stdin=subprocess.DEVNULL):
        env = {**os.environ, "SM_NETWORK": "", "SM_LOG_LEVEL": ""}
        self.process = subprocess.Popen([str(a) for a in argv], stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=env)
        self.events, self.seen, self.log = queue.Queue(), [], []
        self.threads = [threading.Thread(target=self._read, daemon=True),
                        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)]
        for t in self.threads:
            t.start()

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def wait(self, kind, **members):
        """The next event of this kind with these members; what comes before it is skipped."""
        while True:
            try:
                event = self.events.get(timeout=WATCHDOG_S)
            except queue.Empty:
                event = None
            if event is None:
                raise AssertionError(f"no event {kind} {members}; there were {self.seen}, log {''.join(self.log)}")
            self.seen.append(event)
            if event.get("event", "error") == kind and all(event.get(k) == v for k, v in members.items()):
                return event

    def end(self, signal=None):
        """The exit status; the rest of the events go to `seen`."""
        if signal is not None:
            self.process.send_signal(signal)
        status = self.process.wait(timeout=WATCHDOG_S)
        for t in self.threads:
            t.join()
        while not self.events.empty():
            event = self.events.get()
            if event is not None:
                self.seen.append(event)
        reports = [line for line in self.log if "Sanitizer" in line or "runtime error" in line]
        assert not reports, "".join(self.log)
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.end()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
