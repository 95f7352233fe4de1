"""What a change of the interface between the kernel and its modules means."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Finding, Severity
from kinspect.errors import Location
from kinspect.views.abi.changes import AbiFacts, Change, ChangedExport, Modversions

JUDGED = {
    Change.REMOVED: ("abi-exports-are-kept", Severity.ERROR),
    Change.CRC: ("abi-crcs-are-kept", Severity.ERROR),
    Change.RESTRICTED: ("abi-licences-are-kept", Severity.ERROR),
    Change.NAMESPACE: ("abi-namespaces-are-kept", Severity.ERROR),
    Change.MOVED: ("abi-exports-stay-in-their-module", Severity.WARNING),
    Change.OPENED: ("abi-licences-are-opened", Severity.INFO),
    Change.ADDED: ("abi-exports-are-added", Severity.INFO),
}
NAMED = 3
"""Exports that a finding names."""
_LOST = "abi-modversions-are-kept"


def abi_findings(facts: AbiFacts) -> Iterator[Finding]:
    """A finding for each kind of change that no rule lets pass, with how many exports it is about."""
    if facts.incomparable:
        what = "went away" if facts.versions == Modversions.GONE else "came"
        message = f"MODVERSIONS {what}: the CRCs of {facts.incomparable:,} exports cannot be compared"
        yield Finding(_LOST, Severity.ERROR, Evidence(message, (Location(facts.new), Location(facts.old))))
    for change, (name, severity) in JUDGED.items():
        found = [one for one in facts.of(change) if not one.tolerated]
        if found:
            names = ", ".join(one.name for one in found[:NAMED]) + (", ..." if len(found) > NAMED else "")
            exports = f"{len(found):,} {'export' if len(found) == 1 else 'exports'}"
            at = tuple(_place(facts, one) for one in found[:NAMED])
            yield Finding(name, severity, Evidence(f"{exports} {change}: {names}", at))


def _place(facts: AbiFacts, one: ChangedExport) -> Location:
    """Its line in the new file; in the old one when it is there no more."""
    if one.change == Change.REMOVED:
        return Location(facts.old, one.name, None, one.old_line)
    return Location(facts.new, one.name, None, one.new_line)
