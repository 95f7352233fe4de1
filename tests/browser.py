"""A real browser for tests: Debian's chromium without a window, spoken to over two pipes.

Its DevTools protocol is JSON with a zero byte after each message (`--remote-debugging-pipe`), which takes nothing but
the standard library: no driver of the browser's version, no web socket, no port, nothing that CI has to download.
"""

import json
import os
import select
import signal
import time
from base64 import b64decode
from fcntl import F_DUPFD_CLOEXEC, fcntl
from pathlib import Path
from typing import Any

SWITCHES = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # root in a container has none
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)
PATIENCE = 60


class Browser:
    """A chromium with one page, which keeps its files in a folder.

    `problems` are the errors and warnings that its console showed since the page was opened, `requests` the URLs it
    asked for.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._number, self._buffer = 0, b""
        self._loaded: set[str] = set()
        self._start(program, folder)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = ""
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def _start(self, program: str, folder: Path) -> None:
        # The browser reads from 3 and writes to 4. The ends of our pipes go above, out of the way of those two.
        theirs_in, self._writes = _pipe()
        self._reads, theirs_out = _pipe()
        silence = os.open(os.devnull, os.O_RDWR)
        self._pid = os.posix_spawn(
            program,
            [program, *SWITCHES, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            {**os.environ, "TMPDIR": str(folder)},
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, silence, number) for number in (0, 1, 2)),
                (os.POSIX_SPAWN_DUP2, theirs_in, 3),
                (os.POSIX_SPAWN_DUP2, theirs_out, 4),
            ],
        )
        for end in (theirs_in, theirs_out, silence):
            os.close(end)

    def close(self) -> None:
        """End the browser."""
        os.close(self._writes)
        os.close(self._reads)
        for end in (signal.SIGTERM, signal.SIGKILL):
            os.kill(self._pid, end)
            until = time.monotonic() + 10
            while time.monotonic() < until:
                if os.waitpid(self._pid, os.WNOHANG)[0]:
                    return
                time.sleep(0.02)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command of the protocol for the page, and its result."""
        return self._call(method, self._session, **parameters)

    def _call(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._writes, data) :]
        while True:
            answer = self._message()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def _message(self) -> dict[str, Any]:
        """The next message; what it tells of the page is kept."""
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reads], [], [], PATIENCE)
            assert ready, f"the browser said nothing for {PATIENCE} s"
            more = os.read(self._reads, 1 << 20)
            assert more, "the browser ended"
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        told = message.get("params", {})
        match message.get("method"):
            case "Page.lifecycleEvent" if told["name"] == "load":
                self._loaded.add(told["loaderId"])
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown":
                self.problems.append(str(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.problems.append(str(told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.problems.append(told["entry"]["text"])
            case "Page.javascriptDialogOpening":
                self.problems.append(f"dialog: {told['message']}")
                raise AssertionError(self.problems[-1])
        return message

    def open(self, url: str) -> None:
        """Load a page anew and wait until it is there."""
        for address in ("about:blank", url):  # from there on, another hash is another page too
            self.problems.clear()
            self.requests.clear()
            loader = self.call("Page.navigate", url=address)["loaderId"]
            while loader not in self._loaded:
                self._message()

    def value(self, script: str) -> Any:
        """What an expression of JavaScript gives; a promise is waited for."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script: str) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + PATIENCE
        while not self.value(script):
            assert time.monotonic() < until, f"never true: {script}; {self.problems}"
            time.sleep(0.02)

    def point(self, x: float, y: float) -> None:
        """Move the mouse."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x: float, y: float) -> None:
        """Press and release the left button."""
        self.point(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, code: int = 0) -> None:
        """Press and release a key: its name, and its number where it is no character."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def size(self, width: int, height: int, scale: float = 1) -> None:
        """The window in CSS pixels, and how many pixels of the screen each is."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    def media(self, **features: str) -> None:
        """Preferences of the user: `prefers_color_scheme="dark"`."""
        given = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=given)

    def picture(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(b64decode(self.call("Page.captureScreenshot")["data"]))


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are numbered from 10."""
    ends = os.pipe()
    above = fcntl(ends[0], F_DUPFD_CLOEXEC, 10), fcntl(ends[1], F_DUPFD_CLOEXEC, 10)
    for end in ends:
        os.close(end)
    return above
