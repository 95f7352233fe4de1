"""All checks of a build: of each file that is there, alone and together."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Never

from kinspect.artifacts.build.tree import BUILT, PLACES, is_output_folder
from kinspect.artifacts.policy.project import Policy
from kinspect.checks.build.files import RequiredFiles, required_files_are_there
from kinspect.errors import Location, MalformedError, UncheckedError, did_you_mean
from kinspect.inspection.build.folding import folded
from kinspect.inspection.build.packaged import with_packages
from kinspect.inspection.build.whole import COMMANDS, inspect_build
from kinspect.inspection.package.taken import Packages, is_package, packages_in
from kinspect.inspection.report import Path, Report, checks_of, run_checks
from kinspect.views.build.inventory import BuildFacts, IgnoredFindings
from kinspect.workers import titled

if TYPE_CHECKING:
    from kinspect.inspection.package.together import InstalledPackages
    from kinspect.workers import OnProgress

ROLES = (*PLACES, BUILT)
_ROLES = {name: role for role in ROLES for name in (role, role.lower(), role.lower().replace(" ", "-"))}
"""The roles by the names that may be given for them."""
# The package of a distribution that has a file which a kernel's own package lacks.
_PACKAGES = {"vmlinux": "debug", "System.map": "debug", "Module.symvers": "headers"}


def check(
    *paths: Path | Sequence[Path],
    require: Sequence[str] = (),
    ignore: Sequence[str] = (),
    select: Sequence[str] = (),
    policy: Policy | None = None,
    on_progress: "OnProgress | None" = None,
) -> Report[BuildFacts]:
    """Check a build: its folder, installed modules, packages, unpacked or not, or single files.

    `require` lists files (ROLES, case does not matter) whose absence is an error. Findings of the checks in `ignore`
    are dropped and counted; when `select` names checks, only their findings are kept, and those of `require`. A
    `policy` adds its own. Raises MalformedError for an unknown name.
    """
    rules = policy or Policy()
    asked = Policy(tuple(require), tuple(ignore), tuple(select))
    _refuse_unknown(rules, asked)
    with Packages() as packages:
        given = [name for path in paths for one in _listed(path) for name in packages_in(one) or [one]]
        once = {os.path.realpath(path): path for path in reversed(given) if is_package(path)}
        unpacking = titled(on_progress, "unpacking packages")
        together = packages.together([*reversed(once.values())], unpacking)
        return packages.named(_checked(given, together, rules, asked, on_progress))


def _checked(
    given: list[str],
    together: "InstalledPackages | None",
    rules: Policy,
    asked: Policy,
    on_progress: "OnProgress | None",
) -> Report[BuildFacts]:
    """The report on some paths, of which the packages are installed together."""
    required = dict.fromkeys(_ROLES[name] for name in (*rules.require, *asked.require))
    chosen = frozenset((*rules.select, *asked.select))

    report, facts = inspect_build(_with_folder(given, together), on_progress)
    of_packages: Report[Never] = Report()
    if together:
        of_packages, facts = with_packages(facts, together)
        report += Report(errors=together.errors)
    there = {piece.role for piece in facts.pieces}
    if any(map(is_output_folder, filter(os.path.isdir, facts.paths))):
        # What is required as well is one finding.
        others = tuple(entry for entry in facts.missing if entry[0] not in required)
        report += run_checks((facts._replace(missing=others),), "build.files")
    elif "packed Image" in there:
        there.add("Image")  # a package has one kernel, compressed or not
    if required:
        missing = tuple((role, _remedy(role)) for role in required if role not in there)
        report = run_checks((RequiredFiles(given[0], missing),), "build.files") + report
        chosen |= {required_files_are_there.id} if chosen else frozenset()
    if not (report.ran or report.errors):
        reasons = ", ".join(sorted({entry.reason for entry in facts.unjudged})) or None
        at = Location(min(facts.paths))
        report += Report(errors=(UncheckedError("cannot be checked alone", at, actual=reasons),))
    report = of_packages + report
    ignored = dict.fromkeys(asked.ignore, "--ignore") | dict.fromkeys(rules.ignore, rules.path or "policy")
    kept = frozenset(chosen or report.ran) - ignored.keys()
    counts = Counter(finding.id for finding in report.findings if finding.id in ignored)
    dropped = tuple(IgnoredFindings(name, counts[name], ignored[name]) for name in sorted(counts))
    facts = facts._replace(paths=tuple(given), ignored=dropped)
    findings = tuple(finding for finding in report.findings if finding.id in kept)
    ran = tuple(check_id for check_id in report.ran if check_id in kept)
    return Report((facts,), folded(findings, facts.pieces), ran, report.errors)


def _listed(path: Path | Sequence[Path]) -> list[str]:
    """A path, or those in a list of them."""
    paths = [path] if isinstance(path, str | os.PathLike) else path
    return [_without_slash(os.fsdecode(one)) for one in paths]


def _with_folder(paths: list[str], together: "InstalledPackages | None") -> list[str]:
    """The paths with the folder of the packages in the place of the first of them."""
    if together is None:
        return paths
    folders = {os.path.realpath(package.path): together.root for package in together.packages}
    broken = {os.path.realpath(error.at.path) for error in together.errors}
    found = [(os.path.realpath(path), path) for path in paths]
    return list(dict.fromkeys(folders.get(real, path) for real, path in found if real not in broken))


def _without_slash(path: str) -> str:
    """The path of a folder as the paths of its files begin."""
    return path.rstrip("/") or "/" if os.path.isdir(path) else path


def _refuse_unknown(*policies: Policy) -> None:
    """Raise MalformedError for a role or a check that does not exist."""
    ids = tuple(check.id for check in checks_of())
    for source in policies:
        _known(source, "require", source.require, _ROLES)
        _known(source, "ignore", source.ignore, ids)
        _known(source, "select", source.select, ids)


def _known(source: Policy, option: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            hint = "one of " + ", ".join(ROLES) if option == "require" else "an id that `kinspect checks` lists"
            at = Location(source.path, option) if source.path else Location(f"--{option}")
            raise MalformedError(f"unknown name{did_you_mean(name, known)}", at, expected=hint, actual=name)


def _remedy(role: str) -> str:
    if role not in COMMANDS:
        return "the build did not make it"
    package = f", or take it from the distribution's {_PACKAGES[role]} package" if role in _PACKAGES else ""
    return f"`{COMMANDS[role]}`{package}"
