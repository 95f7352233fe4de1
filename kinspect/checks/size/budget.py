"""Whether a kernel keeps within its size budget."""

from collections.abc import Iterator

from kinspect.artifacts.policy.budget import IMAGE
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted
from kinspect.views.size.budget import BudgetComparison, Overrun


@check(Severity.ERROR)
def sizes_are_within_budget(comparison: BudgetComparison) -> Iterator[Evidence]:
    """The kernel and its parts are within the limits of the budget, and so is their growth.

    A budget is a TOML file. `[image]` limits the whole kernel; `[section."NAME"]`, `[folder."NAME"]`, `[source."NAME"]`
    and `[kind."NAME"]` limit a part. The keys are `file` (bytes in the Image), `memory` (`image_size` in `[image]`),
    `growth` (of memory) and `file_growth`. Values are numbers of bytes or strings like `"32 MiB"`; growth may also be
    `"2 %"`, and needs an older build to compare with. The finding says by how much a limit is exceeded, and which parts
    are largest or grew most: reduce those, or raise the limit. A limit on a part that the kernel does not have is an
    error.
    Source: the budget.
    """
    for overrun in comparison.overruns:
        yield _evidence(overrun, comparison.old is not None)


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
