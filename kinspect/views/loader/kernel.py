"""What of a kernel decides whether a module loads, found in its bytes.

Which tests a kernel makes is told by its own words: a message that is not in the kernel belongs to a test that it does
not make. So no version number decides anything here.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import cached_property, lru_cache
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.crypto.x509 import Certificate, certificates_in
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.raw.limits import LARGEST_KERNEL
from kinspect.errors import Location, UnsupportedError
from kinspect.views.tables.raw_exports import kernel_exports

_VERMAGIC = re.compile(rb"\0(\d[^\0 ]{0,100} (?:SMP |preempt |preempt_rt |mod_unload |modversions )*aarch64)\0")
_BTF_MAGIC = b"\x9f\xeb\x01\x00\x18\0\0\0"
_BTF_HEADER = 24
KERNEL = "kernel"
"""How the kernel's messages name itself as an owner of symbols."""


class Order(IntEnum):
    """Three orders of the tests, by the words that came with them."""

    FIRST = 0  # one pass over all sections, those that are needed looked up after it (6.1)
    COPY = 1  # the same pass counts the sections that must be one (6.6; no machine has proven it here)
    CACHED = 2  # a function for each table (6.12, 7.3)


class KernelExport(NamedTuple):
    """An export as load_module() sees it."""

    owner: str
    crc: int | None
    gpl: bool
    namespace: str


class TargetKernel:
    """A kernel that modules are loaded into; `config` are the options of its .config, `cmdline` its command line.

    Raises UnsupportedError when the exports or the vermagic are not found: no module can be judged then.
    """

    def __init__(
        self,
        kernel: Image | Vmlinux,
        config: Mapping[str, str] | None = None,
        cmdline: str = "",
        certificates: Sequence[Certificate] = (),
    ) -> None:
        self.kernel, self._given, self._extra = kernel, config, tuple(certificates)
        self.words = _words(cmdline)
        self._said: dict[str, bool] = {}

    @cached_property
    def data(self) -> bytes:
        """The bytes that the kernel has in memory: the Image, or the sections of a vmlinux, one behind the other."""
        if isinstance(self.kernel, Image):
            return self.kernel.source.read(0, min(self.kernel.size, LARGEST_KERNEL))
        parts = [section for section in self.kernel.loaded_sections if section.in_file]
        if sum(section.size for section in parts) > LARGEST_KERNEL:
            raise UnsupportedError("too large for a kernel", self.kernel.at())
        return b"\0".join(self.kernel.source.read(part.offset, part.size, part.name) for part in parts)

    def says(self, words: str) -> bool:
        """Whether a message is in the kernel."""
        if words not in self._said:
            self._said[words] = words.encode() in self.data
        return self._said[words]

    @cached_property
    def order(self) -> Order:
        """The order of its tests."""
        if self.says("Exactly one .gnu.linkonce.this_module section must exist."):
            return Order.CACHED
        return Order.COPY if self.says("Only one .gnu.linkonce.this_module section must exist.") else Order.FIRST

    @cached_property
    def vermagic(self) -> str:
        """What the vermagic of modules must be."""
        found = _VERMAGIC.search(self.data)
        if found is None:
            raise UnsupportedError("no vermagic found: a kernel without modules?", self.kernel.at())
        return found[1].decode("ascii", "backslashreplace")

    @property
    def release(self) -> str:
        """The kernel's release: the first word of the vermagic."""
        return self.vermagic.split(" ", 1)[0]

    @cached_property
    def forces(self) -> bool:
        """Whether it loads what it should not, and taints itself (MODULE_FORCE_LOAD)."""
        return self.says("%s: %s: kernel tainted.")

    @cached_property
    def flags(self) -> bool:
        """Whether licences of exports are flags."""
        return self.says("no flags for exported symbols")

    @cached_property
    def module_namespaces(self) -> bool:
        """Whether namespaces `module:...` name those who may use a symbol."""
        return self.says("module tries to import module namespace")

    @cached_property
    def arm64(self) -> str:
        """How the messages of the arm64 code begin."""
        return "Modules: " if self.says("Modules: module %s: overflow in relocation type") else ""

    @cached_property
    def needs_imports(self) -> bool:
        """Whether a namespace that is not imported is refused, and not only told of."""
        warning = b"\x014%s: module uses symbol (%s) from namespace"
        return warning not in self.data

    @cached_property
    def modversions(self) -> bool:
        """Whether the kernel compares CRCs."""
        return " modversions " in self.vermagic

    @cached_property
    def exports(self) -> dict[str, KernelExport]:
        """What it exports. UnsupportedError when the licences of exports cannot be told."""
        found = kernel_exports(self.kernel)
        if not found.licensed:
            raise UnsupportedError("the licences of exports cannot be told: take the vmlinux", self.kernel.at())
        return {one.name: KernelExport(KERNEL, one.crc, one.gpl, one.namespace) for one in found.exports}

    @cached_property
    def certificates(self) -> tuple[Certificate, ...]:
        """The certificates built into it, and those that were given as trusted."""
        return (*certificates_in(self.data, self.kernel.path), *self._extra)

    @cached_property
    def config(self) -> Mapping[str, str] | None:
        """The options of its .config: given, or inside it (IKCONFIG); None when neither is there."""
        return self._given if self._given is not None else _ikconfig(self.data)

    def option(self, name: str) -> bool | None:
        """Whether an option is built in; None when there is no .config to tell."""
        return None if self.config is None else self.config.get(f"CONFIG_{name}") == "y"

    @cached_property
    def enforced(self) -> bool | None:
        """Whether modules must be signed from the start (MODULE_SIG_FORCE, module.sig_enforce); None if not known."""
        value = next((value for name, value in reversed(self.words) if name == "module.sig_enforce"), None)
        if value is not None and value[:1] in ("", "y", "Y", "1", "t", "T"):
            return True
        return _sig_enforce(self.kernel) if self.config is None else self.option("MODULE_SIG_FORCE")

    @cached_property
    def locked_down(self) -> bool:
        """Whether `lockdown=` locks it, or it locks itself."""
        value = next((value for name, value in reversed(self.words) if name == "lockdown"), "")
        forced = ("LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY")
        return value in ("integrity", "confidentiality") or any(self.option(name) for name in forced)

    @cached_property
    def blacklist(self) -> frozenset[str]:
        """The names of `module_blacklist=`, of which the last counts."""
        value = next((value for name, value in reversed(self.words) if name == "module_blacklist"), "")
        return frozenset(value.split(","))

    @cached_property
    def struct_size(self) -> int | None:
        """The size of struct module in bytes, of the kernel's BTF; None when it has none or does not tell."""
        return _struct_size(self.data, b"module")

    def has_hash(self, name: str) -> bool:
        """Whether a digest is built in, by the names under which the kernel's crypto has them."""
        return any(self.says(f"{name}-{driver}\0") for driver in ("generic", "lib", "arm64", "ce", "neon"))


def _words(cmdline: str) -> list[tuple[str, str]]:
    """The parameters on a command line; `-` and `_` are the same in their names."""
    try:
        words = shlex.split(cmdline)
    except ValueError as reason:
        raise UnsupportedError(f"cannot be read: {reason}", Location("--cmdline")) from reason
    pairs = (word.partition("=") for word in words)
    return [(name.replace("-", "_"), value) for name, _, value in pairs]


def config_of(text: str) -> dict[str, str]:
    """The options of a .config."""
    pairs = (line.partition("=") for line in text.splitlines() if line.startswith("CONFIG_"))
    return {name: value for name, _, value in pairs}


def _ikconfig(data: bytes) -> dict[str, str] | None:
    """The .config that is inside a kernel. Source: kernel/configs.c."""
    import zlib

    start = data.find(b"IKCFG_ST\x1f\x8b")
    if start < 0:
        return None
    try:
        # A .config has some hundred thousand bytes.
        text = zlib.decompressobj(31).decompress(data[start + 8 : start + (4 << 20)], 16 << 20)
    except zlib.error:
        return None
    return config_of(text.decode("utf-8", "replace"))


def _sig_enforce(kernel: Image | Vmlinux) -> bool | None:
    """The value of `sig_enforce` in kernel/module/signing.c, where there are symbols to find it by."""
    if isinstance(kernel, Image):
        return None
    address = kernel.symbols.value("sig_enforce")
    section = kernel.section_at(address) if address else None
    if section is None or address is None:
        return None
    if not section.in_file:
        return False
    return kernel.source.read(section.offset + address - section.address, 1) != b"\0"


@lru_cache(maxsize=2)
def _struct_size(data: bytes, name: bytes) -> int | None:
    """The size of a struct in the BTF of a kernel. Source: include/uapi/linux/btf.h."""
    start = data.find(_BTF_MAGIC)
    if start < 0:
        return None
    type_off, type_len, str_off, str_len = memoryview(data[start + 8 : start + _BTF_HEADER]).cast("I")
    strings = start + _BTF_HEADER + str_off
    place = data.find(b"\0" + name + b"\0", strings, strings + str_len)
    if place < 0:
        return None
    types = data[start + _BTF_HEADER + type_off :][: type_len & ~3]
    words = (place + 1 - strings).to_bytes(4, "little")
    sizes = set()
    at = types.find(words)
    while at >= 0:
        # struct btf_type: name_off, info (the kind in bits 24 to 28; 4 is a struct), size.
        info, size = (int.from_bytes(types[at + field : at + field + 4], "little") for field in (4, 8))
        if at % 4 == 0 and info >> 24 & 0x1F == 4 and 10 < info & 0xFFFF < 300 and size % 64 == 0 and size < 1 << 14:
            sizes.add(size)
        at = types.find(words, at + 1)
    return sizes.pop() if len(sizes) == 1 else None
