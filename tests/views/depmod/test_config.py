"""The versions in `override` lines of depmod.d are regular expressions of POSIX, and never take long."""

import time
from pathlib import Path

import pytest

from kinspect.views.depmod.config import DepmodConfig, read_config

RELEASE = "a" * 28 + "!"


def config_of(tmp_path: Path, *versions: str) -> DepmodConfig:
    path = tmp_path / "a.conf"
    path.write_text("".join(f"override hello {version} updates\n" for version in versions))
    return read_config([str(path)], RELEASE)


@pytest.mark.parametrize("version", ["*", "a", "^a+!$", "a{28}!", "[[a]", "[[:alpha:]]+", "(((a)))", "()", "b|a"])
def test_versions_that_match(version: str, tmp_path: Path) -> None:
    assert config_of(tmp_path, version) == DepmodConfig(overrides=("updates/hello",))


@pytest.mark.parametrize(
    "version",
    ["(a+)+$", "a{99999999999}", "b", "^!", "*a", "a{29}", "[", "(", "((a*)*)*b", "(" * 3000 + ")" * 3000 + "b"],
)
def test_versions_that_do_not_match(version: str, tmp_path: Path) -> None:
    start = time.process_time()
    assert config_of(tmp_path, version) == DepmodConfig()
    assert time.process_time() - start < 2


def test_expressions_that_are_too_large_are_named(tmp_path: Path) -> None:
    found = config_of(tmp_path, "a{200}{200}", "a", *(f"a{{3000}}{number}" for number in range(100)))
    assert found.overrides == ("updates/hello",)
    assert found.ignored[0].line == 1
    assert len(found.ignored) > 90
