"""The command for a whole build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinspect.commands.interface.output import listed, print_reports, report_or_error, with_progress

if TYPE_CHECKING:
    from kinspect.commands.interface import options
    from kinspect.inspection.report import Report
    from kinspect.workers import OnProgress


def check(
    paths: options.BuildPaths,
    *,
    require: options.Require = None,
    ignore: options.Ignore = None,
    select: options.Select = None,
    policy: options.PolicyFile = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Check a whole build: each file alone, and all together."""
    from kinspect.artifacts.policy.project import Policy, policy_in
    from kinspect.artifacts.policy.project import policy as policy_of
    from kinspect.inspection import check as inspection

    def work(on_progress: OnProgress | None) -> Report:
        rules = (policy_of(policy) or Policy()) if policy is not None else policy_in(".")
        return inspection.check(
            *paths,
            require=listed(require),
            ignore=listed(ignore),
            select=listed(select),
            policy=rules,
            on_progress=on_progress,
        )

    def run() -> Report:
        return with_progress("reading files", work)

    return print_reports([report_or_error(run)], json, quiet, form=form)
