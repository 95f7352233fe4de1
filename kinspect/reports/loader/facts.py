"""What `kinspect load` reports, as text and as JSON."""

from collections import Counter
from collections.abc import Iterator
from errno import errorcode
from os import strerror
from typing import Any

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.views.loader.facts import LoadFacts
from kinspect.views.loader.verdict import TAINTS, Outcome, Verdict

MOST_LOADED = 20
"""With more modules than this, those that load without a taint have no lines of their own."""
_MOST_SYMBOLS = 10


def lines(facts: LoadFacts, style: Style) -> Iterator[str]:
    """The kernel, a summary of all modules, then the modules one by one."""
    verdicts = facts.verdicts
    yield f"{style.bold(escaped(facts.kernel))}: {counted(len(verdicts), 'module')} to load"
    yield ""
    yield from columns(style, list(_rows(facts)), "<<")
    if len(verdicts) > MOST_LOADED:
        verdicts = tuple(verdict for verdict in verdicts if not verdict.loads or verdict.taints)
    if verdicts:
        yield ""
    for verdict in verdicts:
        yield from _verdict_lines(verdict, style)


def outcome(facts: LoadFacts) -> str:
    """How many modules load, and how many do not: `1 of 2 modules refused`."""
    counts = Counter(verdict.outcome for verdict in facts.verdicts)
    total = counted(len(facts.verdicts), "module")
    words = {Outcome.REFUSED: "refused", Outcome.CRASHES: "crashing the kernel", Outcome.UNKNOWN: "not known"}
    parts = [f"{counts[found]:,} of {total} {word}" for found, word in words.items() if counts[found]]
    if not parts:
        return f"{total} {'loads' if len(facts.verdicts) == 1 else 'load'}"
    return ", ".join(parts)


def document(facts: LoadFacts) -> dict[str, Any]:
    """`loading` in docs/report.schema.json: the kernel, and a verdict for each module in the order of loading."""
    return {
        "kind": "loading",
        "kernel": facts.kernel,
        "vermagic": facts.vermagic,
        "modversions": facts.modversions,
        "enforced": facts.enforced,
        "locked_down": facts.locked_down,
        "certificates": [certificate._asdict() for certificate in facts.certificates],
        "verdicts": [_verdict_document(verdict) for verdict in facts.verdicts],
    }


def _rows(facts: LoadFacts) -> Iterator[tuple[str, str]]:
    yield "vermagic", escaped(facts.vermagic)
    yield "versions", "CRCs are compared" if facts.modversions else "not compared: no MODVERSIONS"
    for number, certificate in enumerate(facts.certificates):
        yield "" if number else "trusts", f"{escaped(certificate.subject)}, serial {certificate.serial}"
    if not facts.certificates:
        yield "trusts", "no built-in certificate"
    enforced = {True: "enforced", False: "not enforced", None: "not known whether enforced: pass --config or a vmlinux"}
    yield "signatures", enforced[facts.enforced] + (", locked down" if facts.locked_down else "")
    signers = (verdict.signer for verdict in facts.verdicts)
    signed = Counter(signer.verified if signer else "no signature" for signer in signers)
    for number, (verified, count) in enumerate(signed.most_common()):
        yield "" if number else "signed", f"{counted(count, 'module')}: {escaped(verified)}"
    taints = Counter(letter for verdict in facts.verdicts for letter in verdict.taints)
    if taints:
        yield "taints", ", ".join(f"{TAINTS[letter]} {taints[letter]:,}" for letter in TAINTS if taints[letter])


def _verdict_lines(verdict: Verdict, style: Style) -> Iterator[str]:
    """A module: the verdict, the kernel's log, the symbols, the signer."""
    name = style.bold(escaped(verdict.path))
    taints = ", ".join(TAINTS[letter] for letter in verdict.taints)
    match verdict.outcome:
        case Outcome.LOADS:
            yield f"{name}: {style.good('loads')}" + (f", tainted: {taints}" if taints else "")
        case Outcome.REFUSED:
            number = verdict.errno
            yield f"{name}: {style.bad('refused')}, {errorcode.get(number, str(number))} ({strerror(number)})"
        case Outcome.CRASHES:
            yield f"{name}: {style.bad('crashes the kernel')}: {escaped(verdict.why)}"
        case Outcome.UNKNOWN:
            yield f"{name}: {style.bad('not known')}: {escaped(verdict.why)}"
    for line in verdict.log_lines:
        yield f"    {style.dim('kernel:')} {escaped(line.rstrip())}"
    rows = [(escaped(fault.symbol), escaped(fault.fault)) for fault in verdict.symbols[:_MOST_SYMBOLS]]
    yield from columns(style, rows, "/<", "    ")
    if len(verdict.symbols) > _MOST_SYMBOLS:
        yield f"    and {counted(len(verdict.symbols) - _MOST_SYMBOLS, 'symbol')} more (--json has all)"
    if verdict.signer:
        signer = verdict.signer
        about = f"{escaped(signer.name) or 'an unnamed signer'} ({signer.algorithm}, key {signer.key})"
        yield f"    signed by {about}: {escaped(signer.verified)}"


def _verdict_document(verdict: Verdict) -> dict[str, Any]:
    return {
        "path": verdict.path,
        "name": verdict.name,
        "outcome": verdict.outcome.value,
        "errno": errorcode.get(verdict.errno, str(verdict.errno)) if verdict.errno else None,
        "words": list(verdict.log_lines),
        "taints": [TAINTS[letter] for letter in verdict.taints],
        "symbols": [fault._asdict() for fault in verdict.symbols],
        "why": verdict.why or None,
        "signer": verdict.signer._asdict() if verdict.signer else None,
    }
