"""An initramfs as text and as JSON."""

from collections.abc import Iterator

from kinspect.artifacts.initramfs.file import Part
from kinspect.reports.layout import columns, titled
from kinspect.reports.terminal import Style, counted, escaped, exact, human
from kinspect.reports.values import Document
from kinspect.views.initramfs.contents import InitramfsFacts, ModulesInside

_UNSUMMED = {"uncompressed", "lz4", "lzma"}
"""Forms of archives that have no checksum over everything, or one that is not verified."""
_MOST_PARTS, _MOST_FOLDERS = 8, 12


def lines(facts: InitramfsFacts, style: Style) -> Iterator[str]:
    """Its parts, the modules in it by release, the drivers, and where the bytes go."""
    kind = "built-in initramfs" if facts.built_in else "initramfs"
    yield f"{style.bold(escaped(facts.path))}: {kind}, {exact(facts.size)}"
    yield ""
    yield from columns(style, list(_rows(facts)), "<<")
    if facts.folders:
        yield ""
        rows = [(escaped(one.name), f"{one.files:,}", human(one.size)) for one in facts.folders[:_MOST_FOLDERS]]
        rest = facts.folders[_MOST_FOLDERS:]
        if rest:
            more = f"{sum(one.files for one in rest):,}", human(sum(one.size for one in rest))
            rows.append((f"{counted(len(rest), 'more folder')}", *more))
        yield from titled(style, ("contents", "files", "size"), rows, "/>>")


def _rows(facts: InitramfsFacts) -> Iterator[tuple[str, str]]:
    for number, part in enumerate(facts.parts[:_MOST_PARTS]):
        yield "" if number else "archives", _part(part)
    if len(facts.parts) > _MOST_PARTS:
        yield "", f"and {len(facts.parts) - _MOST_PARTS:,} more"
    yield "contents", f"{counted(facts.members, 'member')}, {human(facts.unpacked)} of data"
    if facts.default:
        yield "", "what every kernel has: /dev, /dev/console and /root"
        return
    yield "init", "/init" if facts.init else "none"
    for release in facts.releases:
        title = escaped(release.release) or f"in {escaped(release.root) or '/'}"
        yield "modules", f"{title}: {counted(release.modules, 'module')}, {human(release.size)}"
        yield from _drivers(release)
    if not facts.releases:
        yield "modules", "none"
    if facts.firmware:
        missing = len(facts.missing_firmware)
        yield "firmware", f"{counted(facts.firmware, 'file')} that modules may ask for, {missing:,} of them missing"


def _part(part: Part) -> str:
    archives = "" if part.archives == 1 else f" in {part.archives:,} archives"
    unpacked = "uncompressed" if part.compression == "none" else f"{part.compression}, {exact(part.unpacked)} unpacked"
    return f"at {part.offset:#x}: {exact(part.size)}, {unpacked}, {counted(part.members, 'member')}{archives}"


def _drivers(release: ModulesInside) -> Iterator[tuple[str, str]]:
    for title, names in release.drivers:
        yield f"  {title}", ", ".join(map(escaped, names)) or "none"


def containers(facts: InitramfsFacts) -> list[str]:
    """The archive itself."""
    return [facts.path]


def verdict_notes(facts: InitramfsFacts) -> Iterator[str]:
    """The parts in which a changed byte is not found: their format has no checksum, or it is not verified."""
    found = sorted(
        {"uncompressed" if one.compression == "none" else one.compression for one in facts.parts} & _UNSUMMED
    )
    if found:
        yield f"no checksum covers the {' and '.join(found)} data"


def document(facts: InitramfsFacts) -> Document:
    """`initramfs` in docs/report.schema.json."""
    return {
        "kind": "initramfs",
        "path": facts.path,
        "size": facts.size,
        "parts": [part._asdict() for part in facts.parts],
        "members": facts.members,
        "unpacked": facts.unpacked,
        "init": facts.init,
        "contents": [one._asdict() for one in facts.folders],
        "releases": [_release(one) for one in facts.releases],
        "left_out": [{"name": one.name, "users": list(one.users)} for one in facts.left_out],
        "firmware": facts.firmware,
        "missing_firmware": [{"name": one.name, "users": list(one.users)} for one in facts.missing_firmware],
        "built_in": facts.built_in,
        "default": facts.default,
    }


def _release(inside: ModulesInside) -> Document:
    drivers = {title.replace(" ", "_"): list(names) for title, names in inside.drivers}
    return {**inside._asdict(), "release": inside.release or None, "drivers": drivers}
