"""A page in headless Chromium, driven through the DevTools protocol over a pipe."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--remote-debugging-pipe", "--no-first-run", "--disable-extensions", "--hide-scrollbars")
LOADED = "document.readyState === 'complete'"


@dataclass
class Page:
    """An open page. ``complaints`` are the errors and warnings of its console, ``requests`` the
    addresses that it asked for."""

    to: BinaryIO
    answers: BinaryIO
    session: str = ""
    sent: int = 0
    complaints: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol, and waits for its answer."""
        self.sent += 1
        message: dict[str, Any] = {"id": self.sent, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        self.to.flush()
        while True:
            found = self._next()
            if found.get("id") == self.sent:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                return found["result"]
            self._hear(found)

    def wait_for(self, event: str) -> None:
        """Waits until an event comes."""
        while True:
            found = self._next()
            self._hear(found)
            if found.get("method") == event:
                return

    def _next(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("chromium has ended")
            data += byte
        return json.loads(data)

    def _hear(self, found: dict[str, Any]) -> None:
        method, said = found.get("method", ""), found.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(said["exceptionDetails"])[:2000])
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(said["args"])[:2000])
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(json.dumps(said["entry"])[:2000])
        elif method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"])[:2000])
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Presses a key of that name."""
        codes = {"Enter": 13, "Tab": 9, "ArrowUp": 38, "ArrowDown": 40, "ArrowLeft": 37,
                 "ArrowRight": 39, "Home": 36, "End": 35}  # fmt: skip
        code = codes.get(key, ord(key[0].upper()))
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """Gives the page a width and a height in pixels, and a colour scheme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """Stores a picture of the page, or of the part that is in the window."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def opened(path: Path, width: int = 1440, height: int = 900) -> Generator[Page]:
    """A page of a file, once it is loaded."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        commands, to = os.pipe()
        answers, events = os.pipe()
        words = ["chromium", *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        shell = ["bash", "-c", f'exec "$@" 3<&{commands} 4>&{events}', "chromium", *words]
        process = subprocess.Popen(
            shell, pass_fds=(commands, events), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(commands)
        os.close(events)
        try:
            with os.fdopen(to, "wb") as writer, os.fdopen(answers, "rb") as reader:
                page = Page(writer, reader)
                targets = page.call("Target.getTargets")["targetInfos"]
                target = next(each["targetId"] for each in targets if each["type"] == "page")
                found = page.call("Target.attachToTarget", targetId=target, flatten=True)
                page.session = found["sessionId"]
                for domain in ("Page", "Runtime", "Log", "Network"):
                    page.call(f"{domain}.enable")
                page.resize(width, height)
                page.call("Page.navigate", url=path.resolve().as_uri())
                page.wait_for("Page.loadEventFired")
                yield page
                page.call("Page.close")
        finally:
            process.terminate()
            process.wait()
