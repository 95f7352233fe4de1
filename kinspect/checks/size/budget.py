"""Whether a kernel keeps within its size budget."""

from collections.abc import Iterator

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.policy.budget import IMAGE, Budget
from kinspect.checks.check import Evidence, Finding, Severity, check
from kinspect.checks.wording import counted
from kinspect.views.size.attribution import Attribution
from kinspect.views.size.budget import Overrun, overruns


@check(Severity.ERROR)
def sizes_are_within_budget(budget: Budget, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """The kernel and its parts are within the limits of the budget, and so is their growth.

    A budget is a TOML file. `[image]` limits the whole kernel; `[section."NAME"]`, `[folder."NAME"]`, `[source."NAME"]`
    and `[kind."NAME"]` limit a part. The keys are `file` (bytes in the Image), `memory` (`image_size` in `[image]`),
    `growth` (of memory) and `file_growth`. Values are bytes or strings like `"32 MiB"`; growth may also be `"2 %"`, and
    needs an older build to compare with. The finding says by how much a limit is exceeded, and which parts are largest
    or grew most: reduce those, or raise the limit. A limit on a part that the kernel does not have is an error.
    Source: the budget.
    """
    yield from broken(budget, Attribution(vmlinux))


def budget_findings(budget: Budget, new: Attribution, old: Attribution | None = None) -> Iterator[Finding]:
    """A finding for each exceeded limit. Raises MalformedError as `kinspect.views.size.budget.overruns` does."""
    for evidence in broken(budget, new, old):
        yield Finding(sizes_are_within_budget.id, sizes_are_within_budget.severity, evidence)


def broken(budget: Budget, new: Attribution, old: Attribution | None = None) -> Iterator[Evidence]:
    """The evidence of each exceeded limit."""
    for overrun in overruns(budget, new, old):
        yield _evidence(overrun, compared=old is not None)


def _evidence(overrun: Overrun, compared: bool) -> Evidence:
    limit = overrun.limit
    part = "the kernel" if limit.group == IMAGE else f"{limit.group} {limit.name}"
    where = "in the Image" if limit.in_file else "in memory"
    excess = overrun.actual - overrun.most
    more = f"{counted(excess, 'byte')} more than allowed {where}"
    message = f"{part} {'grew' if limit.growing else 'takes'} {more}"
    if overrun.by:
        parts = ", ".join(f"{name} {'+' if compared else ''}{size:,}" for name, size in overrun.by)
        message += f" ({'largest growth' if compared else 'largest'}: {parts})"
    sign = "+" if limit.growing else ""
    return Evidence(message, (limit.at,), f"at most {sign}{overrun.most:,} bytes", f"{sign}{overrun.actual:,}")
