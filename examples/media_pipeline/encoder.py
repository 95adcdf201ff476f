"""Stands in for ffmpeg and a bucket: what it makes is text in memory, a letter for each second."""

import threading
import time

from worldflow import FatalError


class Corrupt(FatalError):
    """Not retried: the source will not change."""


class Encoder:
    latency = 0.0
    """Seconds that a second of video takes."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.published: dict[str, list[str]] = {}
        self.fails_at: set[int] = set()
        """Seconds at which the machine fails, once each."""
        self._lock = threading.Lock()

    def length(self, source: str) -> int:
        if not source:
            raise Corrupt("the source is empty")
        return len(source)

    def encode(self, name: str, source: str, second: int) -> None:
        time.sleep(self.latency)
        with self._lock:
            if second in self.fails_at:
                self.fails_at.remove(second)
                raise OSError("no space left on device")
            self.files[name] = self.files.get(name, "") + source[second]

    def join(self, name: str, parts: list[str]) -> str:
        self.files[name] = "".join(self.files.pop(part) for part in parts)
        return name

    def publish(self, video: str, playlists: list[str]) -> None:
        self.published[video] = playlists

    def delete(self, video: str) -> None:
        for name in [name for name in self.files if name.startswith(f"{video}/")]:
            del self.files[name]


encoder = Encoder()
