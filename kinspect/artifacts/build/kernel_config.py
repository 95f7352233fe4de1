"""The .config that a kernel is built with, and the file that has its release."""

import re
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.errors import MalformedError, UnsupportedError

LARGEST_CONFIG, LARGEST_RELEASE = 16 << 20, 4096
"""Bytes that are read; a .config has some 250 KB."""
_LINE = re.compile(r"(CONFIG_\w+)=(.*)|# (CONFIG_\w+) is not set|#.*|\s*")
_HEAD = re.compile(r"^# Linux/(\S+) (\S+) Kernel Configuration$", re.MULTILINE)


class KernelConfigFacts(NamedTuple):
    """The contents of a .config. Size in bytes; `version` is of the kernel whose Kconfig wrote it."""

    path: str
    size: int
    version: str | None
    options: int


class KernelConfig(Artifact):
    """A `.config`. Source: scripts/kconfig/confdata.c."""

    kind = "a kernel configuration (.config)"
    hint = "`kinspect check` compares it with the kernel"

    @cached_property
    def text(self) -> bytes:
        """The whole file. UnsupportedError over 16 MiB."""
        if self.size > LARGEST_CONFIG:
            expected = f"at most {LARGEST_CONFIG:,} bytes"
            raise UnsupportedError("too large for a .config", self.at(), expected=expected, actual=self.size)
        return self.source.read(0, self.size)

    @cached_property
    def _decoded(self) -> str:
        return self.text.decode("utf-8", "surrogateescape")

    @cached_property
    def options(self) -> dict[str, str]:
        """The options that are set, with the text after `=`. MalformedError for a line that Kconfig never writes."""
        found = {}
        for number, line in enumerate(self._decoded.split("\n"), start=1):
            match = _LINE.fullmatch(line)
            if match is None:
                at = self.at()._replace(line=number)
                raise MalformedError("not a valid .config line", at, expected="CONFIG_NAME=value", actual=line[:80])
            if match[1]:
                found[match[1]] = match[2]
        return found

    def on(self, name: str) -> bool:
        """Whether an option is `y`; `name` is without CONFIG_. Raises as `options` does."""
        return self.options.get(f"CONFIG_{name}") == "y"

    @property
    def version(self) -> str | None:
        """The version of the kernel whose Kconfig wrote it, such as 6.1.176; None without the usual first lines."""
        match = _HEAD.search(self._decoded[:4096])
        return match[2] if match else None

    @property
    def facts(self) -> KernelConfigFacts:
        """The number of options that it sets, and for which kernel. Raises as `options` does."""
        return KernelConfigFacts(self.path, self.size, self.version, len(self.options))


class KernelRelease(Artifact):
    """`include/config/kernel.release` of a build: one line, which `uname -r` will print. Source: Makefile."""

    kind = "a kernel.release"

    @cached_property
    def release(self) -> str:
        """The line. MalformedError when the file is not one line."""
        lines = self.source.head(LARGEST_RELEASE).decode("utf-8", "surrogateescape").split("\n")
        if self.size > LARGEST_RELEASE or len(lines) != 2 or lines[1] or not lines[0]:
            raise MalformedError("not a kernel.release", self.at(), expected="one line")
        return lines[0]
