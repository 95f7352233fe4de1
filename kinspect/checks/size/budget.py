"""Whether a kernel keeps to the budget that it was given."""

from collections.abc import Iterator

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.policy.budget import IMAGE, Budget
from kinspect.checks.check import Evidence, Finding, Severity, check
from kinspect.views.size.attribution import Attribution
from kinspect.views.size.budget import Overrun, overruns


@check(Severity.ERROR)
def sizes_are_within_budget(budget: Budget, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """The kernel and its parts are no larger than their budget, and grew no more than it lets them.

    A budget is a TOML file. `[image]` limits the whole, `[section."NAME"]`, `[folder."NAME"]`, `[source."NAME"]` and
    `[kind."NAME"]` limit a part. Keys are `file` (bytes in the Image), `memory` (`image_size` for the whole), `growth`
    (of memory) and `file_growth`. Values are bytes, or text like `"32 MiB"`; growth may be `"2 %"`, and needs an older
    build. The finding says by how much a limit broke, and who has, or brought, the most of it.
    A limit on what the kernel does not have is a fault of the budget.
    Source: the budget.
    """
    yield from broken(budget, Attribution(vmlinux))


def budget_findings(budget: Budget, new: Attribution, old: Attribution | None = None) -> Iterator[Finding]:
    """A finding for each limit that broke. Raises MalformedError as `kinspect.views.size.budget.overruns` does."""
    for evidence in broken(budget, new, old):
        yield Finding(sizes_are_within_budget.id, sizes_are_within_budget.severity, evidence)


def broken(budget: Budget, new: Attribution, old: Attribution | None = None) -> Iterator[Evidence]:
    """What is said of each limit that broke."""
    for overrun in overruns(budget, new, old):
        yield _evidence(overrun, grown=old is not None)


def _evidence(overrun: Overrun, grown: bool) -> Evidence:
    limit = overrun.limit
    what = "the kernel" if limit.group == IMAGE else f"{limit.group} {limit.name}"
    where = "in the Image" if limit.in_file else "in memory"
    over = overrun.actual - overrun.most
    more = f"{over:,} {'byte' if over == 1 else 'bytes'} more than it may {where}"
    message = f"{what} {'grew' if limit.growing else 'takes'} {more}"
    if overrun.by:
        parts = ", ".join(f"{name} {'+' if grown else ''}{size:,}" for name, size in overrun.by)
        message += f" ({'most grew' if grown else 'the largest'}: {parts})"
    sign = "+" if limit.growing else ""
    return Evidence(message, (limit.at,), f"at most {sign}{overrun.most:,} bytes", f"{sign}{overrun.actual:,}")
