# SPDX-License-Identifier: MIT
# Headless Chromium over the DevTools pipe (descriptors 3 and 4, messages ended by a zero byte): nothing but python's own library.
import base64
import json
import os
import select
import shutil
import subprocess
import time


def find():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    return None


class Page:
    """One tab. Requests, console messages and exceptions are kept as they come."""

    def __init__(self, home, width=1280, height=900):
        to_child, self.out = os.pipe()
        self.inp, from_child = os.pipe()

        def descriptors():
            kept = [os.dup(to_child), os.dup(from_child)]  # above 4, whatever they were
            os.dup2(kept[0], 3)
            os.dup2(kept[1], 4)

        self.child = subprocess.Popen(
            [find(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--disable-background-networking",
             "--user-data-dir=" + os.path.join(home, "chrome"), "--remote-debugging-pipe", "about:blank"],
            preexec_fn=descriptors, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": home})
        os.close(to_child)
        os.close(from_child)
        self.buffer, self.number, self.session = b"", 0, None
        self.requests, self.faults = [], []
        target = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"][0]
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM", "Accessibility"):
            self.call(domain + ".enable")
        self.size(width, height)

    def message(self, until):
        while b"\0" not in self.buffer:
            if not select.select([self.inp], [], [], max(0, until - time.time()))[0]:
                raise TimeoutError("the browser does not answer")
            some = os.read(self.inp, 1 << 20)
            if not some:
                raise EOFError("the browser has ended")
            self.buffer += some
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def note(self, m):
        method, p = m.get("method"), m.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(p["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.faults.append("exception: " + json.dumps(p["exceptionDetails"])[:400])
        elif method == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            self.faults.append("console: " + json.dumps(p["args"])[:400])
        elif method == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            self.faults.append("log: " + p["entry"]["text"] + " " + p["entry"].get("url", ""))

    def call(self, method, seconds=60, **params):
        self.send(method, params)
        return self.answer(method, seconds)

    def send(self, method, params):
        self.number += 1
        m = {"id": self.number, "method": method, "params": params}
        if self.session:
            m["sessionId"] = self.session
        os.write(self.out, json.dumps(m).encode() + b"\0")

    def answer(self, method, seconds=60):
        """To what was sent last."""
        until = time.time() + seconds
        while True:
            answer = self.message(until)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(method + ": " + answer["error"]["message"])
                return answer["result"]
            self.note(answer)

    def size(self, width, height=900, dark=False, touch=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}, {"name": "prefers-reduced-motion", "value": "reduce"}])

    def run(self, expression):
        """The value of a JavaScript expression; a promise is waited for."""
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in r:
            raise RuntimeError(json.dumps(r["exceptionDetails"])[:600])
        return r["result"].get("value")

    def wait(self, expression, seconds=60):
        until = time.time() + seconds
        while time.time() < until:
            if self.run(expression):
                return True
            time.sleep(0.05)
        return False

    def go(self, url):
        self.call("Page.navigate", url=url)

    def key(self, key, shift=False):
        self.keys(key, 1, shift)

    def keys(self, key, times, shift=False):
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, " ": 32}
        p = {"key": key, "code": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper())), "modifiers": 8 if shift else 0}
        text = {"Enter": "\r", " ": " "}.get(key, key if len(key) == 1 else None)
        for _ in range(times):
            self.send("Input.dispatchKeyEvent", {"type": "keyDown", **p, **({"text": text} if text else {})})
            self.send("Input.dispatchKeyEvent", {"type": "keyUp", **p})
        self.answer("Input.dispatchKeyEvent")

    def drag(self, x0, y0, x1, y1):
        def mouse(kind, x, y, buttons):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="none" if kind == "mouseMoved" and not buttons else "left", buttons=buttons, clickCount=1)
        mouse("mouseMoved", x0, y0, 0)
        mouse("mousePressed", x0, y0, 1)
        mouse("mouseMoved", (x0 + x1) / 2, (y0 + y1) / 2, 1)
        mouse("mouseMoved", x1, y1, 1)
        mouse("mouseReleased", x1, y1, 0)

    def choose(self, selector, files):
        node = self.call("Runtime.evaluate", expression="document.querySelector(%s)" % json.dumps(selector))["result"]["objectId"]
        self.call("DOM.setFileInputFiles", files=files, objectId=node)

    def shot(self, path, whole=False):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))

    def pdf(self, path):
        data = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))

    def close(self):
        try:
            self.call("Browser.close", seconds=10)
        except (EOFError, TimeoutError, RuntimeError, OSError):
            self.child.kill()
        self.child.wait()
