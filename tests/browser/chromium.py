"""A headless Chromium, driven through its DevTools pipe: nothing but the browser is needed, and no port is opened."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

# Seconds after which a browser hangs, on the busiest machine.
PATIENCE = 300
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def find():
    """The browser's path; none if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One browser with one page."""

    def __init__(self, path, width=1280, height=900):
        self.profile = tempfile.mkdtemp(prefix="ocibake-browser-")
        reads, to_browser = os.pipe()
        from_browser, writes = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        high = [os.dup2(fd, 100 + number, inheritable=True) for number, fd in enumerate((reads, writes))]
        command = [path, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   "--no-first-run", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync",
                   "--disable-component-update", "--disable-extensions", "--force-color-profile=srgb",
                   "--user-data-dir=" + self.profile, "about:blank"]
        words = "exec 3<&100 4>&101 100<&- 101>&-; exec \"$@\""
        self.process = subprocess.Popen(["bash", "-c", words, "sh", *command], pass_fds=high,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (reads, writes, *high):
            os.close(fd)
        self.input, self.output = to_browser, from_browser
        self.buffer, self.number, self.events, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.resize(width, height)

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def colours(self, dark):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def scripts(self, run):
        """Whether those of pages are run."""
        self.call("Emulation.setScriptExecutionDisabled", value=not run)

    def call(self, method, **params):
        """What a method of the protocol answers."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self._write(message)
        while True:
            answer = self._message(PATIENCE)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError("%s: %s" % (method, answer["error"]["message"]))
                return answer["result"]
            self.events.append(answer)

    def _write(self, message):
        rest = json.dumps(message).encode() + b"\0"
        while rest:
            rest = rest[os.write(self.input, rest):]

    def _message(self, seconds):
        until = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            if not select.select([self.output], [], [], max(until - time.monotonic(), 0))[0]:
                raise TimeoutError("the browser says nothing for %d s" % seconds)
            read = os.read(self.output, 1 << 16)
            if not read:
                raise RuntimeError("the browser ended")
            self.buffer += read
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def wait_for(self, method, seconds=PATIENCE):
        """The parameters of the next event of a kind."""
        while True:
            for number, event in enumerate(self.events):
                if event.get("method") == method:
                    return self.events.pop(number)["params"]
            self.events.append(self._message(seconds))

    def open(self, path):
        """Loads a file. All that happened before is forgotten."""
        self.events.clear()
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        self.wait_for("Page.loadEventFired")

    def run(self, expression):
        """The value of an expression of the page's language."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait_until(self, what, expression, seconds=PATIENCE):
        """Waits until an expression is true, however slow the machine is."""
        until = time.monotonic() + seconds
        while not self.run(expression):
            if time.monotonic() > until:
                raise TimeoutError("%s: not after %d s" % (what, seconds))
            time.sleep(0.05)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            extra = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode={"Enter": 13, "Escape": 27, "ArrowRight": 39, "ArrowLeft": 37, "Tab": 9}[key], **extra)

    def click(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path, whole=False, clip=None):
        """A picture of what is seen, of the whole page, or of a rectangle of it."""
        options = {"format": "png", "captureBeyondViewport": whole or clip is not None}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"]}
        if clip:
            options["clip"] = {**clip, "scale": 1}
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", **options)["data"]))

    def complaints(self):
        """What the console says, and errors that nothing caught."""
        self.run("0")
        said = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                said.append(details.get("exception", {}).get("description", details["text"]))
            elif method == "Runtime.consoleAPICalled":
                said.append(" ".join(str(arg.get("value", arg.get("description"))) for arg in params["args"]))
            elif method == "Log.entryAdded":
                said.append(params["entry"]["text"])
        return said

    def requests(self):
        """Every address that the page asked for."""
        self.run("0")
        return [event["params"]["request"]["url"] for event in self.events
                if event.get("method") == "Network.requestWillBeSent"]

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(60)
        except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.input)
        os.close(self.output)
        shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
