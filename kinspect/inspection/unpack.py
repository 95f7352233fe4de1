"""What lies inside a kernel: the raw Image in its wrappings, the .config."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.kinds import open_artifact
from kinspect.checks.check import Evidence, Finding, Severity
from kinspect.errors import WrongKindError
from kinspect.inspection.modules import kernel
from kinspect.inspection.report import Path, Report, run_checks

if TYPE_CHECKING:
    from kinspect.artifacts.artifact import Artifact, Layer
    from kinspect.artifacts.raw.embedded import Extent
    from kinspect.source import Source

_STEP = 1 << 20
_EMBEDDED_CONFIG = "embedded-config"


class UnpackedFacts(NamedTuple):
    """The raw kernel that was written to `out`, `size` bytes, and what it came out of, the outermost first."""

    path: str
    out: str
    kind: str
    size: int
    layers: "tuple[Layer, ...]"


class ConfigFacts(NamedTuple):
    """The .config embedded in a file; both None when there is none. `place` is that of its gzip stream, unpacked."""

    path: str
    layers: "tuple[Layer, ...]"
    place: "Extent | None"
    text: str | None


def unpack(path: Path, out: str) -> Report:
    """Write the raw kernel in a file to another, whole or not at all, and judge what it was wrapped in.

    Raises KinspectError, OSError.
    """
    from kinspect.inspection.writing import write_whole

    found = kernel(path)
    report = Report((UnpackedFacts(found.path, out, found.kind, found.size, found.layers),))
    write_whole(out, _contents(found.source))
    return report + (run_checks(found.wrappings, "boot.container") if found.wrappings else Report())


def raw_kernel(path: Path) -> Iterator[bytes]:
    """The bytes of the raw kernel in a file, a step at a time. Raises KinspectError."""
    yield from _contents(kernel(path).source)


def _contents(source: "Source") -> Iterator[bytes]:
    for start in range(0, source.size, _STEP):
        yield source.read(start, min(_STEP, source.size - start))


def config(path: Path) -> Report:
    """The .config inside an Image, a vmlinux or configs.ko; without one there is a finding. Raises KinspectError."""
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.artifacts.module.ko import Module
    from kinspect.views.kernel.config import embedded_config

    artifact = open_artifact(path)
    if not isinstance(artifact, Image | Vmlinux | Module):
        expected = "an Image, a vmlinux or configs.ko"
        raise WrongKindError("no kernel", artifact.at(), expected=expected, actual=artifact.kind)
    found = embedded_config(artifact)
    text = found.text.decode("utf-8", "surrogateescape") if found else None
    facts = ConfigFacts(artifact.path, artifact.layers, found.place if found else None, text)
    findings = () if found else (Finding(_EMBEDDED_CONFIG, Severity.ERROR, _without(artifact)),)
    return Report((facts,), findings, (_EMBEDDED_CONFIG,))


def _without(artifact: "Artifact") -> Evidence:
    message = (
        "no .config inside: build with CONFIG_IKCONFIG=y, look into kernel/kernel/configs.ko of the modules, "
        "or take the config-RELEASE of the package"
    )
    return Evidence(message, (artifact.at(),))
