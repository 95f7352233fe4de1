"""What protects a kernel, read off its code: as compilers write it, and as objdump shows it of real kernels."""

import random
import re
import subprocess
from bisect import bisect_right
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError
from kinspect.source import Source
from kinspect.views.hardening.facts import HardeningFacts, hardening_facts, judged_facts
from kinspect.views.hardening.functions import KernelCode
from kinspect.views.hardening.instructions import LAND, SAVE, SIGN, aligned
from kinspect.views.hardening.pointers import Pointer, without_long_tables
from tests.conftest import CORPUS, OLD_KERNEL, SAMPLE, Kernel, kernel_named, missing
from tests.toy_kernel_code import image_of, linked

GCC, CLANG = ("aarch64-linux-gnu-gcc",), ("clang", "--target=aarch64-linux-gnu")
PAC = "-mbranch-protection=pac-ret"
NAMES = ("bookworm-cloud", "backports-cloud", "bullseye-cloud", "trixie-cloud")
STORES = re.compile(r"stp x29, x30, \[sp|stp x30, x\w+, \[sp|stu?r x30, \[sp")
SETTINGS = {
    "pac": "ARM64_PTR_AUTH_KERNEL",
    "scs": "SHADOW_CALL_STACK",
    "bti": "ARM64_BTI_KERNEL",
    "canary": "STACKPROTECTOR",
    "fortify": "FORTIFY_SOURCE",
    "usercopy": "HARDENED_USERCOPY",
    "relocatable": "RELOCATABLE",
    "kaslr": "RANDOMIZE_BASE",
}


def config(*options: str, text: str = "") -> KernelConfig:
    lines = "".join(f"CONFIG_{option}=y\n" for option in options)
    return KernelConfig(Source("config", (lines + text).encode()))


def present(facts: HardeningFacts) -> set[str]:
    return {feature.id for feature in facts.features if feature.present} - {"wx"}


@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=["gcc", "clang"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), set()),
        ((PAC,), {"pac"}),
        (("-mbranch-protection=pac-ret+leaf",), {"pac"}),
        (("-mbranch-protection=pac-ret+b-key",), {"pac"}),
        (("-mbranch-protection=bti",), {"bti"}),
        ((f"{PAC}+bti",), {"pac", "bti"}),
        (("-fsanitize=shadow-call-stack", "-ffixed-x18"), {"scs"}),
        ((PAC, "-fsanitize=shadow-call-stack", "-ffixed-x18"), {"pac", "scs"}),
        (("-fstack-protector-strong",), {"canary"}),
        (("-DFORTIFY",), {"fortify"}),
        (("-DUSERCOPY",), {"usercopy"}),
        (("-DRELOCATABLE", "-DKASLR"), {"relocatable", "kaslr"}),
        (("-DHASHES",), {"kcfi"}),
        ((f"{PAC}+bti", "-DHASHES", "-fpatchable-function-entry=4,2"), {"pac", "bti", "kcfi"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_code_of_compilers(
    options: tuple[str, ...], expected: set[str], compiler: tuple[str, ...], tool: Callable[[str], str], tmp_path: Path
) -> None:
    """Each protection is found when the compiler was told to make it, and no other; of every .config, those differ."""
    vmlinux = linked(tmp_path, tool, compiler, options)
    facts = hardening_facts(Vmlinux(vmlinux))
    assert present(facts) == expected
    assert facts.config is None
    assert all(feature.agrees and not feature.setting.text for feature in facts.features)
    off = hardening_facts(Vmlinux(vmlinux), config())
    assert {feature.id for feature in off.features if not feature.agrees} == expected
    on = hardening_facts(Vmlinux(vmlinux), config(*SETTINGS.values(), "CFI"))
    # If every function begins with paciasp, each has a landing pad too; gcc may move it down.
    signed = compiler == CLANG and any("+leaf" in option for option in options)
    every = {*SETTINGS, "kcfi"} - ({"bti"} if signed else set())
    assert {feature.id for feature in on.features if not feature.agrees} == every - expected


@pytest.mark.parametrize("options", [(), (f"{PAC}+bti", "-DHASHES", "-DFORTIFY", "-DKASLR"), ("-DJUMP_TABLES",)])
def test_an_image_shows_what_its_vmlinux_shows(
    options: tuple[str, ...], tool: Callable[[str], str], tmp_path: Path
) -> None:
    """Calls through jump tables, as before 6.1, are not compared with the option."""
    vmlinux = linked(tmp_path, tool, CLANG, options)
    kernels = (Vmlinux(vmlinux), Image(image_of(vmlinux, tool)))
    for settings in (None, config("CFI_CLANG", "ARM64_BTI_KERNEL")):
        linked_facts, raw_facts = (hardening_facts(kernel, settings) for kernel in kernels)
        assert raw_facts.functions == linked_facts.functions
        assert raw_facts.features[:-1] == linked_facts.features[:-1]
    kcfi = raw_facts.feature("kcfi")
    assert (kcfi.present, kcfi.agrees) == ((None, True) if "-DJUMP_TABLES" in options else (bool(options),) * 2)


def test_one_object_in_ten_without_it(tool: Callable[[str], str], tmp_path: Path) -> None:
    """Assembly is without protection in every kernel; much more of it contradicts the .config."""
    signed, some = config("ARM64_PTR_AUTH_KERNEL"), (PAC,)
    for bare, agrees in ((5, True), (20, False)):
        (tmp_path / str(bare)).mkdir()
        vmlinux = linked(tmp_path / str(bare), tool, GCC, (*some, f"-DASSEMBLY={bare}"))
        feature = hardening_facts(Vmlinux(vmlinux), signed).feature("pac")
        assert (feature.agrees, len(feature.without)) == (agrees, bare)
        assert feature.without[0] == "assembly_0"


def test_settings_that_do_not_decide(tool: Callable[[str], str], tmp_path: Path) -> None:
    """Kernels of before 5.14 have no option for signing; a shadow stack that is patched in at boot is not compiled."""
    bare = Vmlinux(linked(tmp_path, tool, GCC, ()))
    old = hardening_facts(bare, config("ARM64_PTR_AUTH")).feature("pac")
    assert (old.setting.on, old.setting.text, old.agrees) == (None, "CONFIG_ARM64_PTR_AUTH=y", True)
    written = config("ARM64_PTR_AUTH", text="# CONFIG_ARM64_PTR_AUTH_KERNEL is not set\n")
    new = hardening_facts(bare, written).feature("pac")
    assert (new.setting.on, new.setting.text) == (False, "CONFIG_ARM64_PTR_AUTH_KERNEL is not set")
    patched = hardening_facts(bare, config("SHADOW_CALL_STACK", "UNWIND_PATCH_PAC_INTO_SCS")).feature("scs")
    assert (patched.setting.text, patched.agrees) == ("CONFIG_UNWIND_PATCH_PAC_INTO_SCS=y", True)


def test_the_sample() -> None:
    """Exported functions may be called through a pointer. Bounds of the code, and what starts it, are no functions."""
    code = KernelCode(Vmlinux(SAMPLE / "vmlinux"))
    assert {"print", "uart_print", "strlen", "greeting", "param_get_uint"} < set(code.names(code.pointed))
    assert "number_text" not in code.names(code.pointed)
    assert "number_text" in code.names(code.functions)
    assert not {"_stext", "_sinittext", "_etext"} & set(code.names(code.functions))


def test_instructions_are_aligned() -> None:
    """The same bytes across two instructions are no instruction."""
    code = bytes.fromhex("3f2303d5 003f2303 d500007f 2303d57f 7f2303d5")
    assert aligned(SIGN, code) == [0, 16]


def test_ftraces_table_is_not_of_called_functions() -> None:
    """It has thousands of pointers in a row, in their place or in relocations; other tables are shorter."""
    short = [Pointer(number, number, 0) for number in range(100)]
    long = [Pointer(200 + number, 1000 + number, 0) for number in range(5000)]
    rows = [Pointer(9000 + 3 * number, 9000 + number, 8 * number) for number in range(5000)]
    apart = [Pointer(30000 + 3 * number, 30000 + number, 16 * number) for number in range(5000)]
    found = list(without_long_tables([*short, *long, *rows, *apart]))
    assert found == [pointer.target for pointer in (*short, *apart)]


def test_kernels_without_what_is_needed(tool: Callable[[str], str], tmp_path: Path) -> None:
    """No symbols at all, no bounds of the code, and bounds in the wrong order are errors of one line."""
    path = linked(tmp_path, tool, GCC, ())
    objcopy, out = tool("aarch64-linux-gnu-objcopy"), tmp_path / "out"
    for options, problem in (
        (("-N", "_etext"), "no symbols _stext and _etext"),
        (("--strip-all",), "no symbols"),
        (("--redefine-sym", "_stext=_other", "--redefine-sym", "_etext=_stext"), "no symbols _stext and _etext"),
        (("-N", "_stext", "--add-symbol", "_stext=.data:0,global"), "do not enclose code"),
    ):
        subprocess.run([objcopy, *options, path, out], check=True)
        with pytest.raises(KinspectError, match=problem):
            hardening_facts(Vmlinux(out))


@pytest.mark.parametrize("kind", [Image, Vmlinux])
def test_damaged_kernels(kind: type[Image | Vmlinux], tool: Callable[[str], str], tmp_path: Path) -> None:
    """Whatever bytes are changed, the answer is figures or an error of one line."""
    path = linked(tmp_path, tool, GCC, (PAC,))
    whole = (image_of(path, tool) if kind is Image else path).read_bytes()
    chance, errors = random.Random(6), list[str]()
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 4, 40))):
            at = chance.randrange(len(data) - 8)
            data[at : at + 8] = chance.choice((bytes(8), b"\xff" * 8, chance.randbytes(8)))
        try:
            facts = hardening_facts(kind(Source("damaged", bytes(data))), config("CFI", "ARM64_BTI_KERNEL"))
            assert all((feature.found or 0) <= (feature.of or 0) for feature in facts.features)
        except KinspectError as error:
            errors.append(str(error))
    assert 0 < len(errors) < 40
    assert "\n" not in "".join(errors)


class Listing:
    """What objdump says of a vmlinux: where functions sign, may be landed on, and save their return address."""

    def __init__(self, objdump: str, vmlinux: str, ranges: Iterable[tuple[int, int]]) -> None:
        self.sign: list[int] = []
        self.land: list[int] = []
        self.save: list[int] = []
        for start, end in ranges:
            command = [objdump, "-d", f"--start-address={start:#x}", f"--stop-address={end:#x}", vmlinux]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout
                for line in process.stdout:
                    # The text of the instruction comes third, after tabs.
                    place, *rest = line.split("\t")
                    if len(rest) < 2:
                        continue
                    word, operands = rest[1].strip(), rest[2] if len(rest) > 2 else ""
                    if word in ("paciasp", "pacibsp"):
                        self.sign.append(int(place.strip(" :"), 16))
                    elif word == "bti" and operands.split()[0] in ("c", "jc"):
                        self.land.append(int(place.strip(" :"), 16))
                    # Not what moves the stack pointer afterwards, which no compiler writes.
                    elif "], #" not in operands and STORES.match(f"{word} {operands}"):
                        self.save.append(int(place.strip(" :"), 16))

    def owners(self, places: list[int], starts: list[int]) -> dict[int, int]:
        found: dict[int, int] = {}
        for place in places:
            found.setdefault(starts[bisect_right(starts, place) - 1], place)
        return found


def real(name: str) -> tuple[str, str]:
    """The Image and the vmlinux of a real kernel."""
    if name == "build":
        out = CORPUS / "build" / "out"
        if not out.is_dir():
            missing("the build of a kernel", f"bash tests/corpus/build.sh {CORPUS} makes it")
        return str(out / "arch/arm64/boot/Image"), str(out / "vmlinux")
    kernel = kernel_named(name)
    return kernel.image, kernel.vmlinux


@pytest.mark.corpus
@pytest.mark.parametrize("name", [*NAMES, "build"])
def test_numbers_are_those_of_objdump(name: str, tool: Callable[[str], str]) -> None:
    """Every place of each kind of instruction, and how many functions save the return address before they sign it."""
    image, vmlinux = real(name)
    code = KernelCode(Image(image))
    assert code.start is not None
    ranges = [(code.start + part.start, code.start + part.end) for part in code.parts]
    listing = Listing(tool("aarch64-linux-gnu-objdump"), vmlinux, ranges)
    for patterns, places in ((SIGN, listing.sign), (LAND, listing.land), (SAVE, listing.save)):
        found = [code.start + part.start + place for part in code.parts for place in aligned(patterns, part.data)]
        assert found == places
    starts = [code.start + place for place in code._starts]
    saved, signed = listing.owners(listing.save, starts), listing.owners(listing.sign, starts)
    counted = {code.start + place for place in code.functions}
    kept = {start: place for start, place in saved.items() if start in counted}
    feature = hardening_facts(Image(image)).feature("pac")
    assert feature.of == len(kept)
    assert feature.found == sum(start in signed and signed[start] < place for start, place in kept.items())


@pytest.mark.corpus
@pytest.mark.parametrize("name", [*NAMES, "build"])
def test_real_kernels_agree_with_their_config(name: str) -> None:
    """Image and vmlinux show the same, and nothing contradicts the .config."""
    image, vmlinux = real(name)
    place = Path(vmlinux).parent / (".config" if name == "build" else "config")
    found = [hardening_facts(kernel, KernelConfig(place)) for kernel in (Image(image), Vmlinux(vmlinux))]
    same = [[feature for feature in facts.features if feature.id != "wx"] for facts in found]
    # The kallsyms of 5.10 are without the hypervisor's functions.
    assert (same[0] == same[1]) == (name != OLD_KERNEL)
    assert all(feature.agrees for facts in found for feature in facts.features)
    assert found[0].feature("wx").present
    if name != "build":
        assert present(found[0]) == {"pac", "canary", "fortify", "usercopy", "relocatable", "kaslr"}
        assert len(found[0].feature("pac").without) < 30
    else:
        assert present(found[0]) == {"relocatable"}


@pytest.mark.corpus
def test_a_kernel_and_the_config_of_another(kernels: tuple[Kernel, Kernel]) -> None:
    """Whatever an edited .config says otherwise is found, and nothing else."""
    image = Image(kernels[0].image)
    text = (kernels[0].folder / "config").read_text()
    for name, option in (*SETTINGS.items(), ("kcfi", "CFI_CLANG")):
        line = f"CONFIG_{option}=y\n"
        edited = text.replace(line, "") if line in text else text + line
        if name == "canary":
            edited = edited.replace("CONFIG_STACKPROTECTOR_STRONG=y\n", "")
        if name == "pac":
            edited += "# CONFIG_ARM64_PTR_AUTH_KERNEL is not set\n"
        other = KernelConfig(Source("config", edited.encode()))
        facts = hardening_facts(image, other)
        assert [feature.id for feature in facts.features if not feature.agrees] == [name]
        # What `kinspect check` says is never of a sample when something is wrong.
        assert judged_facts(image, other) == facts


@pytest.mark.corpus
@pytest.mark.parametrize("name", [*NAMES, "build"])
def test_a_sample_is_enough_for_a_kernel_as_configured(name: str) -> None:
    """And its shares are those of all functions, within two hundredths."""
    image, vmlinux = real(name)
    its = KernelConfig(Path(vmlinux).parent / (".config" if name == "build" else "config"))
    for kernel in (Image(image), Vmlinux(vmlinux)) if name == "build" else (Image(image),):
        some, everything = judged_facts(kernel, its), hardening_facts(kernel, its)
        assert 0.05 < some.functions / everything.functions < 0.15
        for one, other in zip(some.features, everything.features, strict=True):
            assert (one.id, one.present, one.setting) == (other.id, other.present, other.setting)
            if one.id in ("pac", "scs", "bti", "kcfi"):
                assert abs((one.found or 0) / (one.of or 1) - (other.found or 0) / (other.of or 1)) < 0.02, one.id


@pytest.mark.corpus
def test_a_sample_that_leaves_a_doubt_is_not_used(kernels: tuple[Kernel, Kernel], tmp_path: Path) -> None:
    """A kernel of which a part of the functions does not sign, fewer than a finding needs."""
    data = bytearray((kernels[0].folder / "Image").read_bytes())
    paciasp, nop = SIGN[0].pattern, bytes.fromhex("1f2003d5")
    found = [match.start() for match in re.finditer(paciasp, data)]
    for number, share in ((4, False), (100, True)):
        edited = bytearray(data)
        for place in found[::number]:
            edited[place : place + 4] = nop
        (tmp_path / "Image").write_bytes(edited)
        kernel, config_of_it = Image(tmp_path / "Image"), KernelConfig(kernels[0].folder / "config")
        judged = judged_facts(kernel, config_of_it)
        assert (judged == hardening_facts(kernel, config_of_it)) != share
        assert judged.feature("pac").agrees == share


@pytest.mark.corpus
def test_the_places_that_ftrace_patches_are_not_called(kernels: tuple[Kernel, Kernel]) -> None:
    """In 6.1 they are the beginnings of functions: half of all, and twice as many as data points to otherwise."""
    code = KernelCode(Image(kernels[0].image))
    assert 0.4 < len(code.pointed) / len(code.functions) < 0.6
    assert "kernel_read" in code.names(code.pointed)
    assert "do_filp_open" not in code.names(code.pointed)
