"""FIT images as mkimage makes them are good; one with other data, with data cut off or with lost references is not."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kinspect.artifacts.dtb.blob import Dtb
from kinspect.checks.check import Severity
from kinspect.inspection.dtb import dtb as inspect_dtb
from kinspect.inspection.report import checks_of, run_checks
from kinspect.views.dtb import fit
from tests.toy_dtb import Toy, cells, toy

Tool = Callable[[str], str]
ALGORITHMS = ("crc32", "crc16-ccitt", "md5", "sha1", "sha256", "sha384", "sha512")
DATA = b"no kernel, but mkimage does not look\n" * 30
CRC = ("value", (0x6FDB0AF5).to_bytes(4, "big"))


def source(algorithms: Sequence[str] = ALGORITHMS, kernel: str = "kernel-1", default: str = "conf-1") -> str:
    hashes = " ".join(f'hash-{number} {{ algo = "{name}"; }};' for number, name in enumerate(algorithms))
    image = (
        'description = "x"; data = /incbin/("data"); type = "kernel"; arch = "arm64"; os = "linux"; '
        f'compression = "none"; load = <0x80000>; entry = <0x80000>; {hashes}'
    )
    return f"""/dts-v1/;
/ {{
    description = "x";
    #address-cells = <1>;
    images {{ kernel-1 {{ {image} }}; second {{ {image.replace("0x80000", "0x90000")} }}; }};
    configurations {{ default = "{default}"; conf-1 {{ kernel = "{kernel}"; loadables = "second", "kernel-1"; }}; }};
}};
"""


def made(folder: Path, tool: Tool, text: str, *options: str) -> Path:
    (folder / "data").write_bytes(DATA)
    (folder / "a.its").write_text(text)
    path = folder / "a.itb"
    subprocess.run(
        [tool("mkimage"), "-q", *options, "-f", "a.its", str(path)], cwd=folder, check=True, capture_output=True
    )
    return path


def faults(path: Path) -> list[str]:
    """What all checks of a tree find; mkimage itself leaves padding that is not zero, which is information."""
    return [str(one.evidence) for one in inspect_dtb(path).findings if one.severity != Severity.INFO]


def found(path: Path) -> list[str]:
    return [finding.id for finding in run_checks((Dtb(path),), "dtb.fit").findings]


@pytest.mark.parametrize("options", [[], ["-E"], ["-E", "-p", "0x3000"], ["-E", "-B", "0x200"]])
def test_what_mkimage_makes_is_good(options: list[str], tool: Tool, tmp_path: Path) -> None:
    path = made(tmp_path, tool, source(), *options)
    assert faults(path) == []
    data = bytearray(path.read_bytes())
    data[data.rindex(DATA) + 9] ^= 1
    path.write_bytes(data)
    assert found(path) == ["fit-hashes-match"] * len(ALGORITHMS)
    if options:
        path.write_bytes(data[:-1])
        assert set(found(path)) <= {"fit-data-lies-inside", "fit-hashes-match"}
        path.write_bytes(data[: data.rindex(DATA) + 9])
        assert "fit-data-lies-inside" in found(path)


def test_what_mkimage_makes_of_files_is_good(tool: Tool, tmp_path: Path) -> None:
    """`mkimage -f auto` writes the last_comp_version 2."""
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "a.dtb").write_bytes(toy())
    command = [tool("mkimage"), "-q", "-f", "auto", "-A", "arm64", "-O", "linux", "-T", "kernel", "-C", "none"]
    command += ["-a", "0x80000", "-e", "0x80000", "-n", "x", "-d", "data", "-b", "a.dtb", "auto.itb"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert faults(tmp_path / "auto.itb") == []


def test_a_configuration_names_images_that_exist(tool: Tool, tmp_path: Path) -> None:
    path = made(tmp_path, tool, source(kernel="third", default="conf-2"))
    assert faults(path) == ["the default configuration conf-2 does not exist", "the image third does not exist"]


def fit_of(*images: Toy, more: Sequence[Toy] = ()) -> bytes:
    return toy(Toy("images", [], images), Toy("configurations", [], more))


def image(*properties: tuple[str, bytes], algorithm: bytes = b"crc32\0", value: bytes = b"") -> Toy:
    return Toy("a", properties, [Toy("hash", [("algo", algorithm), ("value", value)])])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (fit_of(Toy("a")), {"fit-data-lies-inside"}),
        (fit_of(image(("data", b"abc"), value=(0x352441C2).to_bytes(4, "big"))), set()),
        (fit_of(image(("data", b""), value=bytes(4))), set()),
        (fit_of(image(("data", b"abc"))), {"fit-hashes-match"}),
        (fit_of(image(("data-offset", cells(0)), ("data-size", cells(1 << 31)))), {"fit-data-lies-inside"}),
        (fit_of(image(("data-position", cells(0xFFFFFFFF)), ("data-size", b"x"))), {"fit-data-lies-inside"}),
        (fit_of(image(("data", b"x"), ("data-size-unciphered", cells(1)))), set()),
        (fit_of(Toy("a", [("data", b"x")], [Toy("hash")])), set()),
        (fit_of(Toy("a", [("data", b"x")], [Toy("hash", [("algo", b"no text"), ("value", b"")])])), {"undecided"}),
        (toy(Toy("images", [], [Toy("a")])), set()),
        (
            fit_of(Toy("a", [("data", b"x")]), more=[Toy("b", [("kernel", b"none\0")])]),
            {"fit-configurations-name-images"},
        ),
    ],
)
def test_broken_ones(data: bytes, expected: set[str], tmp_path: Path) -> None:
    path = tmp_path / "a.itb"
    path.write_bytes(data)
    report = run_checks((Dtb(path),), "dtb.fit")
    assert len(report.ran) == len(checks_of("dtb.fit"))
    assert {
        "undecided" if finding.severity == Severity.UNDECIDED else finding.id for finding in report.findings
    } == expected


def test_hashing_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many hashes of the same data do not take longer than a few of the whole file."""
    hashes = [Toy(f"hash-{number}", [("algo", b"sha512\0"), ("value", b"x")]) for number in range(200)]
    path = tmp_path / "a.itb"
    path.write_bytes(fit_of(Toy("a", [("data", bytes(1 << 20))], hashes)))
    hashed: list[int] = []

    def counting(*_: object) -> bytes:
        hashed.append(1)
        return b""

    monkeypatch.setattr("kinspect.checks.dtb.fit.hash_of", counting)
    texts = [str(finding.evidence) for finding in run_checks((Dtb(path),), "dtb.fit").findings]
    assert len(hashed) <= 8
    assert texts[-1].startswith("too much data to hash: expected at most")
    assert fit.MOST_HASHED == 4 << 30
