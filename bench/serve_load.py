#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Load on `ecgraft serve`: clients that upload recordings and clients that read pages, at the same time; every request has to be answered.

    bench/serve_load.py PROGRAM MODEL RECORDING.hea [--clients 50] [--predictions 1000] [--pages 50000]

Starts the server on a free port, prints counts, times (p50, p99, longest), processor time a request and the server's memory before, between and after, ends it, and fails if one
request was lost, had another answer than 200, or if the server did not end with 0. Standard library only."""
import argparse
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time

FORMS = ["html", "json", "svg?layout=6x2", "csv", "html?layout=cabrera&speed=50"]


def body_of(header):
    names = [header] + [os.path.join(os.path.dirname(header), f) for f in sorted({line.split()[0] for line in open(header).read().splitlines()[1:] if line and line[0] != "#"})]
    parts = b""
    for name in names:
        parts += b'--load\r\nContent-Disposition: form-data; name="file"; filename="' + os.path.basename(name).encode() + b'"\r\n\r\n' + open(name, "rb").read() + b"\r\n"
    return parts + b"--load--\r\n"


def memory(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def processor(pid):
    """Seconds of processor time that the server has used."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Client(threading.Thread):
    """One connection that stays open, as a browser's does; one that the server has closed for idleness is made anew, as a browser does it."""

    def __init__(self, port, work):
        super().__init__()
        self.port, self.work = port, work
        self.times, self.wrong, self.connection, self.again = [], [], None, 0

    def ask(self, method, path, body=None):
        headers = {"X-Ecgraft": "1", "Content-Type": "multipart/form-data; boundary=load"} if body else {}
        began = time.perf_counter()
        text = b""
        for fresh in (False, True):
            idle = self.connection is not None and not fresh
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
                self.connection.request(method, path, body, headers)
                answer = self.connection.getresponse()
                text = answer.read()
                if answer.status != 200 or not text:
                    self.wrong.append(f"{method} {path}: {answer.status}")
                if answer.will_close:
                    self.connection = None
                break
            except (OSError, http.client.HTTPException) as e:
                self.connection = None
                if idle and isinstance(e, (http.client.RemoteDisconnected, ConnectionError)):
                    self.again += 1
                    continue
                self.wrong.append(f"{method} {path}: {e!r}")
                break
        self.times.append(time.perf_counter() - began)
        return text

    def run(self):
        self.work(self)


def told(what, clients, seconds, used=None):
    times = sorted(t for c in clients for t in c.times)
    again = sum(c.again for c in clients)
    wrong = [w for c in clients for w in c.wrong]
    if times:
        at = lambda q: 1000 * times[min(len(times) - 1, int(q * len(times)))]
        print(f"{what}: {len(times)} requests by {len(clients)} clients in {seconds:.1f} s ({len(times) / seconds:.0f}/s), "
              f"p50 {at(0.5):.1f} ms, p99 {at(0.99):.1f} ms, longest {1000 * times[-1]:.0f} ms"
              + (f", {1000 * used / len(times):.2f} ms of a processor each" if used is not None else "") + f", lost {len(wrong)}"
              + (f", {again} connections made anew" if again else ""))
    for w in wrong[:5]:
        print("  ", w)
    return len(wrong)


def share(total, n):
    return [total // n + (i < total % n) for i in range(n)]


def together(clients, pid):
    """Seconds, and those of the server's processor time."""
    began, used = time.perf_counter(), processor(pid)
    for c in clients:
        c.start()
    for c in clients:
        c.join()
    return time.perf_counter() - began, processor(pid) - used


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("model")
    p.add_argument("recording")
    p.add_argument("--clients", type=int, default=50)
    p.add_argument("--predictions", type=int, default=1000)
    p.add_argument("--pages", type=int, default=50000)
    a = p.parse_args()
    body = body_of(a.recording)
    server = subprocess.Popen([a.program, "serve", a.model, "--port", "0", "-q"], stdout=subprocess.PIPE, text=True)
    port = int(re.search(r":(\d+)/", server.stdout.readline()).group(1))
    lost = 0
    try:
        first = Client(port, None)
        name = re.search(rb'"id":"([0-9a-f]+)"', first.ask("POST", "/api/predict", body)).group(1).decode()
        print(f"memory at the start, one result: {memory(server.pid):.0f} MB")

        def predict(count):
            return lambda c: [c.ask("POST", "/api/predict", body) for _ in range(count)]

        clients = [Client(port, predict(n)) for n in share(a.predictions, a.clients)]
        lost += told("predictions", clients, *together(clients, server.pid))
        name = re.search(rb'"id":"([0-9a-f]+)"', first.ask("GET", "/api/results")).group(1).decode()
        print(f"memory after them: {memory(server.pid):.0f} MB")

        def read(count):
            return lambda c: [c.ask("GET", f"/api/results/{name}.{FORMS[i % len(FORMS)]}") for i in range(count)]

        clients = [Client(port, read(n)) for n in share(a.pages, a.clients)]
        lost += told("pages", clients, *together(clients, server.pid))
        print(f"memory after them: {memory(server.pid):.0f} MB")

        few = max(1, a.clients // 2)
        writers = [Client(port, predict(n)) for n in share(max(few, a.predictions // 10), few)]
        readers = [Client(port, lambda c: [c.ask("GET", "/api/info") for _ in range(max(1, a.pages // 100 // few))]) for _ in range(few)]
        seconds, _ = together(writers + readers, server.pid)
        lost += told("predictions beside pages", writers, seconds) + told("pages beside predictions", readers, seconds)
        print(f"memory at the end: {memory(server.pid):.0f} MB")
        lost += len(first.wrong)
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(30)
    if code:
        print(f"the server ended with {code}")
    print("nothing lost" if not lost and not code else f"FAILED: {lost} lost")
    return 1 if lost or code else 0


if __name__ == "__main__":
    sys.exit(main())
