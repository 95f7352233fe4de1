"""What a kernel would say of modules, as text."""

from collections import Counter
from collections.abc import Iterator
from errno import errorcode
from os import strerror

from kinspect.inspection.load import LoadingFacts
from kinspect.reports.terminal import Style, columns, counted, escaped
from kinspect.views.loader.verdict import TAINTS, Outcome, Verdict

FEW = 20
"""Up to so many modules each has a line of its own, whatever is said of it."""
_MOST_SYMBOLS = 10


def loading_lines(facts: LoadingFacts, paint: Style) -> Iterator[str]:
    """The kernel, the modules in numbers, then each module of which there is something to say."""
    verdicts = facts.verdicts
    yield f"{paint.bold(escaped(facts.kernel))}: {counted(len(verdicts), 'module')} to load"
    yield ""
    yield from columns(list(_rows(facts)), "<<")
    told = verdicts if len(verdicts) <= FEW else [one for one in verdicts if not one.loads or one.taints]
    if told:
        yield ""
    for verdict in told:
        yield from verdict_lines(verdict, paint)


def summary_line(facts: LoadingFacts, paint: Style) -> str:
    """The verdict on all of them."""
    counts = Counter(verdict.outcome for verdict in facts.verdicts)
    parts = [
        f"{counted(counts[outcome], 'module')} {word}"
        for outcome, word in ((Outcome.REFUSED, "refused"), (Outcome.UNKNOWN, "not known"))
        if counts[outcome]
    ]
    total = counted(len(facts.verdicts), "module")
    if parts:
        return f"{paint.bad('not good')}: {', '.join(parts)}, of {total}"
    return f"{paint.good('good')}: {total}, every one loads"


def _rows(facts: LoadingFacts) -> Iterator[tuple[str, str]]:
    yield "vermagic", escaped(facts.vermagic)
    yield "versions", "CRCs are compared" if facts.modversions else "not compared: no MODVERSIONS"
    for number, one in enumerate(facts.certificates):
        yield "" if number else "trusts", f"{escaped(one.subject)}, serial {one.serial}"
    if not facts.certificates:
        yield "trusts", "no certificate inside"
    forced = {True: "enforced", False: "not enforced", None: "not known whether enforced: --config, or a vmlinux"}
    yield "signatures", forced[facts.enforced] + (", locked down" if facts.locked_down else "")
    signers = Counter(one.signer.verified if one.signer else "no signature" for one in facts.verdicts)
    for number, (verified, count) in enumerate(signers.most_common()):
        yield "" if number else "signed", f"{counted(count, 'module')}: {escaped(verified)}"
    taints = Counter(letter for one in facts.verdicts for letter in one.taints)
    if taints:
        yield "taints", ", ".join(f"{TAINTS[letter]} {taints[letter]:,}" for letter in TAINTS if taints[letter])


def verdict_lines(verdict: Verdict, paint: Style) -> Iterator[str]:
    """A module: the verdict, the kernel's words, the symbols."""
    name = paint.bold(escaped(verdict.path))
    taints = ", ".join(TAINTS[letter] for letter in verdict.taints)
    match verdict.outcome:
        case Outcome.LOADS:
            yield f"{name}: {paint.good('loads')}" + (f", tainted: {taints}" if taints else "")
        case Outcome.REFUSED:
            number = verdict.errno
            yield f"{name}: {paint.bad('refused')}, {errorcode.get(number, str(number))} ({strerror(number)})"
        case Outcome.UNKNOWN:
            yield f"{name}: {paint.bad('not known')}: {escaped(verdict.why)}"
    for word in verdict.words:
        yield f"    {paint.dim('kernel:')} {escaped(word.rstrip())}"
    rows = [(escaped(one.symbol), escaped(one.fault)) for one in verdict.symbols[:_MOST_SYMBOLS]]
    yield from columns(rows, "<<", "    ")
    if len(verdict.symbols) > _MOST_SYMBOLS:
        yield f"    and {counted(len(verdict.symbols) - _MOST_SYMBOLS, 'symbol')} more (--json has all)"
    if verdict.signer:
        signer = verdict.signer
        yield (
            f"    signed by {escaped(signer.name) or 'nobody named'} ({signer.algorithm}, key {signer.key}): "
            + escaped(signer.verified)
        )
