"""An ELF file is a vmlinux only if it is a kernel; a program, a library or a core dump is named as what it is."""

from pathlib import Path

import pytest

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.kinds import open_as
from kinspect.cli import main
from kinspect.errors import WrongKindError
from kinspect.schemas import elf
from kinspect.schemas.elf import ProgramHeader
from tests.conftest import SAMPLE
from tests.support import Named, Part, elf_of

BANNER = Part(".rodata", b"Linux version 6.1.0-fake (a@b) (gcc) #1 SMP\n\0", 0x401000)
CODE = Part(".text", bytes(64), 0x400000, elf.SHF_ALLOC | elf.SHF_EXECINSTR)
KERNEL = Part(".text", bytes(64), 0xFFFF800008000000, elf.SHF_ALLOC | elf.SHF_EXECINSTR)
DYNAMIC, INTERPRETER = 2, 3
PIE = (0x6FFFFFFB).to_bytes(8, "little") + (0x08000000).to_bytes(8, "little")


def segment(kind: int, address: int, offset: int = 0, size: int = 64) -> ProgramHeader:
    return ProgramHeader(kind, 5, offset, address, address, size, size, 4096)


LOAD = segment(elf.PT_LOAD, 0x400000)
# The dynamic section is the first part: it follows the ELF header and two or three program headers.
PROGRAMS = {
    "a statically linked program": elf_of(CODE, BANNER, segments=(LOAD,), e_type=elf.ET_EXEC),
    "a dynamically linked program": elf_of(CODE, BANNER, segments=(LOAD, segment(INTERPRETER, 0x400000))),
    "a shared library": elf_of(CODE, BANNER, segments=(LOAD, segment(DYNAMIC, 0x400000, 64 + 2 * 56))),
    "a core dump": elf_of(segments=(LOAD,), e_type=elf.ET_CORE),
    "e_type 7": elf_of(CODE, e_type=7),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_not_a_kernel_is_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "vmlinux", tmp_path / "out"
    path.write_bytes(PROGRAMS[name])
    vmlinux = open_as(Vmlinux, path)
    for _ in range(2):
        with pytest.raises(WrongKindError, match=f"not a vmlinux: expected a linked kernel, found {name}"):
            _ = vmlinux.header
    for command in (["check", str(path)], ["vmlinux", str(path)], ["unpack", str(path), "-o", str(out)]):
        assert main(command) == 2
        assert f"found {name}" in capsys.readouterr().err
    assert not out.exists()


def test_a_static_pie_is_a_program(tmp_path: Path) -> None:
    path = tmp_path / "program"
    part = Part(".dynamic", PIE, 0x400000)
    path.write_bytes(elf_of(part, CODE, segments=(LOAD, segment(DYNAMIC, 0x400000, 64 + 2 * 56, 16))))
    with pytest.raises(WrongKindError, match="found a statically linked program"):
        _ = Vmlinux(path).header


@pytest.mark.parametrize(
    "data",
    [
        elf_of(KERNEL, segments=(segment(elf.PT_LOAD, KERNEL.address),)),
        elf_of(CODE, Part(".init.text", b"x", 0x402000), segments=(LOAD,)),
        elf_of(
            CODE,
            segments=(LOAD,),
            symbols=(Named("_text", 0x400000, 1), Named("_end", 0x400040, 1)),
        ),
        elf_of(CODE, BANNER),
        (SAMPLE / "vmlinux").read_bytes(),
    ],
    ids=["address", "section", "symbols", "no segments", "sample"],
)
def test_a_kernel_stays_a_kernel(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(data)
    assert Vmlinux(path).header.e_machine == elf.MACHINE_AARCH64


def test_unpack_fails_on_a_part_of_a_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "vmlinux", tmp_path / "out"
    path.write_bytes(elf_of(Part(".BTF", b"types", KERNEL.address)))
    assert main(["unpack", str(path), "-o", str(out)]) == 2
    assert "a stub without code" in capsys.readouterr().err
    assert not out.exists()
    image = tmp_path / "Image"
    image.write_bytes((SAMPLE / "Image").read_bytes()[:-512])
    assert main(["unpack", str(image), "-o", str(out)]) == 1
    assert "the section extends past the end of the file" in capsys.readouterr().out


def test_unpack_to_standard_output_fails_too(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    image = tmp_path / "Image"
    data = (SAMPLE / "Image").read_bytes()[:-512]
    image.write_bytes(data)
    assert main(["unpack", str(image), "-o", "-"]) == 1
    out, err = capfdbinary.readouterr()
    assert out == data
    assert b"the section extends past the end of the file" in err
