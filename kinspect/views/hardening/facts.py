"""How a kernel is hardened, as its compiled code shows it, and what its .config says about that."""

from collections import Counter
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.layer import Layer
from kinspect.schemas import elf
from kinspect.schemas.pe import MEMORY_EXECUTE, MEMORY_WRITE
from kinspect.source import Source
from kinspect.views.hardening.configured import OPTIONS, Setting, setting_of
from kinspect.views.hardening.functions import KernelCode
from kinspect.views.hardening.instructions import LAND, SAVE, SHADOW_PUSH, SIGN, SIGNED, may_end_code
from kinspect.views.kernel.config import embedded_config
from kinspect.views.kernel.instructions import NOP, is_branch

_FEW = 10
"""A share of one in ten is not reached by assembly alone."""
_JUMP_TABLES = ("__cfi_check", "__cfi_slowpath", "__cfi_slowpath_diag")
"""What indirect calls are checked with in kernels of before 6.1 with Clang's older CFI."""
_CALLED = {
    "canary": ("__stack_chk_fail",),
    "fortify": ("fortify_panic", "__fortify_panic"),
    "usercopy": ("__check_object_size",),
}
"""What protected functions call."""
_RELOCATES = ("__relocate_kernel", "__pi_relocate_kernel")
_RANDOMIZES = ("kaslr_early_init", "__pi_kaslr_early_init")


class Feature(NamedTuple):
    """One protection. `present` is what the code shows; None where that cannot be told.

    `found` is the number of functions that have it, `of` that of those that could; both None for what is not counted.
    `without` are the names of the others, unless nearly all are without it. `note` says what the numbers leave open.
    """

    id: str
    present: bool | None
    found: int | None
    of: int | None
    without: tuple[str, ...]
    setting: Setting
    note: str = ""

    @property
    def agrees(self) -> bool:
        """Whether code and .config do not contradict each other."""
        return None in (self.present, self.setting.on) or self.present == self.setting.on


class HardeningFacts(NamedTuple):
    """The protections of a kernel. `functions` is the number of its functions.

    `config` is the path of the .config, or that of the kernel which has it inside; None when there is none.
    """

    path: str
    layers: tuple[Layer, ...]
    functions: int
    config: str | None
    features: tuple[Feature, ...]

    def feature(self, name: str) -> Feature:
        """The protection with an id."""
        return next(feature for feature in self.features if feature.id == name)


def hardening_facts(kernel: Image | Vmlinux, config: KernelConfig | None = None) -> HardeningFacts:
    """The protections of a kernel; without a .config, held against the one inside it, if there is one.

    Raises UnsupportedError without symbols, MalformedError for a .config or symbols that are not valid.
    """
    if config is None:
        embedded = embedded_config(kernel)
        config = KernelConfig(Source(kernel.path, embedded.text)) if embedded else None
    return _facts(kernel, KernelCode(kernel), config)


def judged_facts(kernel: Image | Vmlinux, config: KernelConfig) -> HardeningFacts:
    """The same, but only of a sample of the functions if it leaves no doubt that the kernel is what the .config says.

    That takes a fourth of the time. Raises as `hardening_facts` does.
    """
    if not (config.on("ARM64_BTI_KERNEL") or config.on("CFI") or config.on("CFI_CLANG")):
        code = KernelCode(kernel, sampled=True)
        facts = _facts(kernel, code, config)
        if all(_is_clear(feature, code) for feature in facts.features):
            return facts
    return _facts(kernel, KernelCode(kernel), config)


def _is_clear(feature: Feature, code: KernelCode) -> bool:
    """Whether a protection of a sample is what the .config says, with less than half of the exceptions allowed."""
    found, of, on = feature.found, feature.of, feature.setting.on
    if not feature.agrees:
        return False
    if feature.id in _CALLED:
        # One call is enough; that there is none shows only in all of the code, or if nothing can be called.
        return bool(found) if on else code.places.keys().isdisjoint(_CALLED[feature.id])
    if found is None or of is None or on is None:
        return True
    return of > 0 and 2 * _FEW * (of - found if on else found) < of


def _facts(kernel: Image | Vmlinux, code: KernelCode, config: KernelConfig | None) -> HardeningFacts:
    settings = {name: setting_of(config, name) for name in OPTIONS}
    saved = code.matching(SAVE)
    features = (
        _return_address(code, saved, settings["pac"]),
        _shadow_stack(code, saved, settings["scs"]),
        *_indirect(code, settings["bti"], settings["kcfi"]),
        *_called(code, settings),
        _function(code, "relocatable", _RELOCATES, settings["relocatable"]),
        _function(code, "kaslr", _RANDOMIZES, settings["kaslr"]),
        _writable_code(kernel, settings["wx"]),
    )
    path = config.path if config else None
    return HardeningFacts(kernel.path, code.layers, len(code.functions), path, features)


def _return_address(code: KernelCode, saved: dict[int, int], setting: Setting) -> Feature:
    signed = code.matching(SIGN)
    bare = [place for place, at in saved.items() if signed.get(place, at) >= at]
    return _counted("pac", code, len(saved), bare, setting)


def _shadow_stack(code: KernelCode, saved: dict[int, int], setting: Setting) -> Feature:
    bare = list(saved.keys() - code.matching(SHADOW_PUSH).keys())
    return _counted("scs", code, len(saved), bare, setting)


def _counted(name: str, code: KernelCode, of: int, without: list[int], setting: Setting, note: str = "") -> Feature:
    """A protection that most functions have, or nearly none."""
    found = of - len(without)
    present = _mostly(found, of, setting)
    others = tuple(code.names(sorted(without))) if found * _FEW > of else ()
    return Feature(name, present, found, of, others, setting, note)


def _mostly(found: int, of: int, setting: Setting) -> bool | None:
    """Whether what could have a protection has it: all but a tenth, or more than a tenth where it should be off."""
    if not of:
        return None
    return (of - found) * _FEW <= of if setting.on else found * _FEW > of


def _indirect(code: KernelCode, bti: Setting, kcfi: Setting) -> tuple[Feature, Feature]:
    """Landing pads, and type hashes, of the functions that may be called through a pointer."""
    everything = code.functions
    pads = code.matching(LAND)
    hashed = _hashed(code, everything)
    wanted = bti.on or kcfi.on or len(pads) * _FEW > len(everything) or len(hashed) * _FEW > len(everything)
    pointed = code.pointed if wanted else everything
    landed = [place for place in pointed if pads.get(place) == place]
    signed = [place for place, word in code.words(pointed).items() if word in SIGNED]
    # Functions that sign their return address have a landing pad in any case.
    found, note = set(landed), "paciasp is not counted" if signed else ""
    if bti.on or len(landed) * _FEW > len(pointed):
        found, note = found.union(signed), f"{len(signed):,} of them by paciasp" if signed else ""
    pad = _counted("bti", code, len(pointed), [place for place in pointed if place not in found], bti, note)
    if not code.places.keys().isdisjoint(_JUMP_TABLES):
        return pad, Feature("kcfi", None, None, None, (), kcfi, "jump tables are used, as before 6.1, not hashes")
    number = len(_hashed(code, pointed) if wanted else hashed)
    present = _mostly(number, len(pointed), kcfi)
    note = "some hashes look like instructions and are not counted" if present else ""
    return pad, Feature("kcfi", present, number, len(pointed), (), kcfi, note)


def _hashed(code: KernelCode, places: list[int]) -> set[int]:
    """The functions with a word before them that is no code."""
    before = {place + 4: word for place, word in code.words([place - 4 for place in places]).items()}
    after_nop = [place - 8 for place, word in before.items() if word == NOP]
    if len(after_nop) * _FEW > len(places):
        # The two instructions before a function that ftrace patches come after its hash.
        prefixed = [place - 4 for place, word in code.words(after_nop).items() if word == NOP]
        before |= {place + 12: word for place, word in code.words(prefixed).items()}
    found = {place for place, word in before.items() if not may_end_code(word)}
    if len(found) * 2 > len(places):
        # One type in fifteen has a hash that looks like a branch, which few other functions follow.
        often = Counter(word for word in before.values() if is_branch(word))
        found |= {place for place, word in before.items() if often[word] > 1}
    return found


def _called(code: KernelCode, settings: dict[str, Setting]) -> list[Feature]:
    """Protections that show in calls of a function: how many functions call it."""
    numbers = code.callers(*_CALLED.values())
    return [
        Feature(name, number > 0, number, len(code.functions), (), settings[name])
        for name, number in zip(_CALLED, numbers, strict=True)
    ]


def _function(code: KernelCode, name: str, functions: tuple[str, ...], setting: Setting) -> Feature:
    """A protection that is a function of the kernel."""
    return Feature(name, any(map(code.places.__contains__, functions)), None, None, (), setting)


def _writable_code(kernel: Image | Vmlinux, setting: Setting) -> Feature:
    """Whether no section is writable and executable: of the PE header, which firmware maps; of a vmlinux, its flags."""
    if isinstance(kernel, Image):
        both, pe = MEMORY_WRITE | MEMORY_EXECUTE, kernel.readable_pe
        if pe is None:
            return Feature("wx", None, None, None, (), setting, "no PE header")
        names = [section.title for section in pe.sections if section.flags & both == both]
        note = f"{len(pe.sections)} PE sections checked"
    else:
        sections = kernel.loaded_sections
        names = [section.name for section in sections if section.executable and section.flags & elf.SHF_WRITE]
        if names:
            note = "the kernel maps its code read-only, although its ELF header says writable"
            return Feature("wx", None, None, None, tuple(names), setting, note)
        note = f"{len(sections)} ELF sections checked"
    return Feature("wx", not names, None, None, tuple(names), setting, note)
