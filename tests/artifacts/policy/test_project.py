"""A project's policy: where it is read from, and errors for an invalid one."""

import tracemalloc
from pathlib import Path

import pytest

from kinspect.artifacts.policy.project import LARGEST_POLICY, Policy, policy, policy_in
from kinspect.errors import KinspectError, MalformedError, UnsupportedError

TEXT = 'require = ["image", "modules"]\nignore = ["a"]\n'
WANTED = Policy(("image", "modules"), ("a",), ())


def written(path: Path, text: str) -> str:
    path.write_text(text, errors="surrogateescape")
    return str(path)


def test_places(tmp_path: Path) -> None:
    assert policy_in(str(tmp_path)) == Policy()
    project = tmp_path / "pyproject.toml"
    written(project, "[tool.other]\na = 1\n")
    assert policy(str(project)) is None
    assert policy_in(str(tmp_path)) == Policy()
    written(project, "[tool.kinspect]\n" + TEXT)
    assert policy_in(str(tmp_path)) == WANTED._replace(path=str(project))
    # kinspect.toml takes precedence.
    written(tmp_path / "kinspect.toml", 'select = ["b"]')
    assert policy_in(str(tmp_path)) == Policy(select=("b",), path=str(tmp_path / "kinspect.toml"))
    found = policy(written(tmp_path / "any.toml", TEXT))
    assert found == WANTED._replace(path=str(tmp_path / "any.toml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unknown = []", "unknown key: expected require, ignore, select"),
        ("require = 'a'", "not a list of strings"),
        ("require = [1]", "not a list of strings"),
        ("require = {a = 1}", "not a list of strings"),
        ("require", "not TOML"),
        ("\udcff = 1", "not TOML"),
        ("a = " + "[" * 9999, "not TOML"),
    ],
)
def test_what_is_not_understood(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(MalformedError) as caught:
        policy(written(tmp_path / "kinspect.toml", text))
    assert said in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_project_without_a_table(tmp_path: Path) -> None:
    for text in ("tool = 1", "[tool]\nkinspect = 1"):
        path = written(tmp_path / "pyproject.toml", text)
        with pytest.raises(MalformedError, match="not a table"):
            policy(path)
    with pytest.raises(KinspectError, match="No such file"):
        policy(str(tmp_path / "none.toml"))
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(LARGEST_POLICY + 1)
    with pytest.raises(UnsupportedError):
        policy(str(tmp_path / "large.toml"))


HOSTILE = {
    "a dotted key": ("a." * 50_000 + "a = 1", "nested too deeply: expected at most 64 levels"),
    "a dotted header": ("[" + ' "a" . ' * 100 + "a]", "nested too deeply"),
    "a long key": ("a" * 250_000, "not TOML"),
    "tables": ("a = " + "{a=" * 100, "nested too deeply"),
    "an integer": ("require = " + "9" * 5000, "not TOML"),
    "a hexadecimal integer": ("require = 0x" + "f" * 5000, "require: not a list of strings: found an integer"),
    "one in a list": ("require = ['a', 0x" + "f" * 5000 + "]", "not a list of strings: found an array with an integer"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_policies(kind: str, tmp_path: Path) -> None:
    text, said = HOSTILE[kind]
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError) as caught:
            policy(written(tmp_path / "kinspect.toml", text))
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert said in str(caught.value)


def test_dots_and_brackets_in_strings_and_comments_are_not_depth(tmp_path: Path) -> None:
    dots = "a." * 100 + "[" * 100
    text = f'# {dots}\nignore = ["{dots}", \'{dots}\', \'\'\'\n{dots}\'\'\', """\\"{dots}"""]\n'
    found = policy(written(tmp_path / "kinspect.toml", text))
    assert found is not None
    assert len(found.ignore) == 4
