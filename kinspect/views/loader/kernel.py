"""What decides in a kernel whether a module loads, found in the kernel's bytes.

No version number decides anything: a kernel makes a test when it has the message of that test.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.crypto.pkcs7 import SignedMessage
from kinspect.artifacts.crypto.x509 import Certificate, certificates_in
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.raw.limits import LARGEST_KERNEL
from kinspect.errors import Location, UnsupportedError
from kinspect.source import Source
from kinspect.views.kernel.btf import struct_size
from kinspect.views.kernel.code import returned_after
from kinspect.views.kernel.config import embedded_config
from kinspect.views.kernel.values import boolean, text_address
from kinspect.views.loader.built_in import ImageParameters, names_in_vmlinux, parameters_in
from kinspect.views.signing.kernel_oids import kernel_oids
from kinspect.views.tables.raw_exports import kernel_exports

_VERMAGIC = re.compile(rb"\0(\d[^\0 ]{0,100} (?:SMP |preempt |preempt_rt |mod_unload |modversions )*aarch64)\0")
_LAST_WORD = b" aarch64\0"
_MOST_MESSAGES = 16
_LOCKDOWN = "is restricted; see man kernel_lockdown.7"
KERNEL = "kernel"
"""The owner of the kernel's own symbols, as its messages name it."""


class Order(IntEnum):
    """The three orders of the tests, told apart by the messages that came with them."""

    FIRST = 0  # one pass over all sections, then a look-up of those that are needed (6.1)
    COPY = 1  # the same pass counts the sections that must be unique (6.6; not proven by tests/load)
    CACHED = 2  # a function for each table (6.12, 7.3)


class KernelExport(NamedTuple):
    """An export as load_module() sees it."""

    owner: str
    crc: int | None
    gpl: bool
    namespace: str


class TargetKernel:
    """A kernel that modules are loaded into.

    `config` are the options of its .config, `cmdline` its command line, `certificates` are trusted beside its own.
    Its parts raise UnsupportedError when the exports or the vermagic are not found, for then there is no verdict on any
    module, and MalformedError when the .config inside is broken.
    """

    def __init__(
        self,
        kernel: Image | Vmlinux,
        config: Mapping[str, str] | None = None,
        cmdline: str = "",
        certificates: Sequence[Certificate] = (),
    ) -> None:
        self.kernel, self._given_config, self._given_certificates = kernel, config, tuple(certificates)
        self._parameters = _parameters(cmdline)
        self._messages: dict[str, bool] = {}
        self.messages: dict[int, tuple[bytes, SignedMessage]] = {}
        """By size, a sound signature of a module, and all of it but the signature proper at its end."""

    @cached_property
    def data(self) -> bytes:
        """The kernel's bytes: the whole Image, or the loaded sections of a vmlinux, NUL between them."""
        if isinstance(self.kernel, Image):
            return self.kernel.source.read(0, self.kernel.searched)
        parts = [section for section in self.kernel.loaded_sections if section.in_file]
        if sum(section.size for section in parts) > LARGEST_KERNEL:
            raise UnsupportedError("too large for a kernel", self.kernel.at())
        return b"\0".join(self.kernel.source.read(part.offset, part.size, part.name) for part in parts)

    def keep_message(self, message: SignedMessage, before: bytes) -> None:
        """Keep a sound signature for those like it: most modules are signed with one key."""
        if len(self.messages) < _MOST_MESSAGES:
            self.messages[message.size] = before, message

    def has_message(self, message: str) -> bool:
        """Whether a message, or a part of one, is in the kernel."""
        if message not in self._messages:
            self._messages[message] = message.encode() in self.data
        return self._messages[message]

    @cached_property
    def order(self) -> Order:
        """The order of its tests."""
        if self.has_message("Exactly one .gnu.linkonce.this_module section must exist."):
            return Order.CACHED
        return Order.COPY if self.has_message("Only one .gnu.linkonce.this_module section must exist.") else Order.FIRST

    @cached_property
    def vermagic(self) -> str:
        """The vermagic that modules must have. UnsupportedError when it is not found."""
        data = self.data
        at = data.find(_LAST_WORD)
        while at >= 0:
            # No expression is searched as fast as a text.
            found = _VERMAGIC.match(data, max(0, data.rfind(b"\0", 0, at)))
            if found:
                return found[1].decode("ascii", "backslashreplace")
            at = data.find(_LAST_WORD, at + 1)
        raise UnsupportedError("no vermagic found: a kernel without modules?", self.kernel.at())

    @property
    def release(self) -> str:
        """The kernel's release: the first word of the vermagic."""
        return self.vermagic.split(" ", 1)[0]

    @cached_property
    def can_force(self) -> bool:
        """Whether it can load a module without versions or vermagic, with a taint (MODULE_FORCE_LOAD)."""
        return self.has_message("%s: %s: kernel tainted.")

    @cached_property
    def export_flags(self) -> bool:
        """Whether flags in `__kflagstab` mark the exports that are GPL-only; else they have a table of their own."""
        return self.has_message("no flags for exported symbols")

    @cached_property
    def module_namespaces(self) -> bool:
        """Whether a namespace `module:...` lists the modules that may use a symbol."""
        return self.has_message("module tries to import module namespace")

    @cached_property
    def arm64_prefix(self) -> str:
        """How the messages of arch/arm64/kernel/module.c begin."""
        return "Modules: " if self.has_message("Modules: module %s: overflow in relocation type") else ""

    @cached_property
    def needs_imports(self) -> bool:
        """Whether a module is refused when it does not import a namespace; else the kernel only warns."""
        warning = b"\x014%s: module uses symbol (%s) from namespace"
        return warning not in self.data

    @cached_property
    def modversions(self) -> bool:
        """Whether the kernel compares CRCs."""
        return " modversions " in self.vermagic

    @cached_property
    def refuses_missing_crcs(self) -> bool | None:
        """Whether a module without the CRC of a symbol is refused; else the kernel warns once. None when unknown.

        Mainline loads it since 4.9, Debian's kernels refuse it with the same message: only the code differs.
        """
        returned = returned_after(self.kernel, b"\x014%s: no symbol version for %s\n\0")
        return None if returned is None else returned == 0

    @cached_property
    def exports(self) -> dict[str, KernelExport]:
        """The kernel's exports by name. UnsupportedError when their licences are not known."""
        found = kernel_exports(self.kernel)
        if not found.licensed:
            raise UnsupportedError("the licences of the exports are not known: use the vmlinux", self.kernel.at())
        return {export.name: KernelExport(KERNEL, export.crc, export.gpl, export.namespace) for export in found.exports}

    @cached_property
    def certificates(self) -> tuple[Certificate, ...]:
        """The certificates that it trusts: those built in, then those given."""
        return (*certificates_in(self.data, self.kernel.path), *self._given_certificates)

    @cached_property
    def config(self) -> Mapping[str, str] | None:
        """The options of its .config, given or embedded (IKCONFIG); None when there is neither.

        MalformedError when the embedded one is broken.
        """
        if self._given_config is not None:
            return self._given_config
        embedded = embedded_config(self.kernel)
        return KernelConfig(Source(self.kernel.path, embedded.text)).options if embedded else None

    def option(self, name: str) -> bool | None:
        """Whether an option is built in; None when there is no .config."""
        return None if self.config is None else self.config.get(f"CONFIG_{name}") == "y"

    def parameter(self, name: str) -> str | None:
        """The last value of a parameter on the command line, empty when it has none; None when it is not there."""
        return {found: value or "" for found, value in self._parameters}.get(name)

    @cached_property
    def enforced(self) -> bool | None:
        """Whether modules must be signed (MODULE_SIG_FORCE, module.sig_enforce); None when that is not known."""
        # What is enforced stays: the kernel does not take a later 0.
        values = (value for name, value in self._parameters if name == "module.sig_enforce")
        if any(value is None or value[:1] in tuple("yYtT1") or value.lower()[:2] == "on" for value in values):
            return True
        return self._enforced_by_default if self.config is None else self.option("MODULE_SIG_FORCE")

    @property
    def _enforced_by_default(self) -> bool | None:
        """The value of `sig_enforce` in kernel/module/signing.c, which the parameter of this name sets."""
        image = self.kernel
        if not isinstance(image, Image):
            return boolean(image, "sig_enforce")
        # The parameters are looked at for other reasons, too; kallsyms takes longer.
        place = self._parameters_in_image.variable("module.sig_enforce") if self._parameters_in_image else None
        if place is None or not 0 <= place < image.header.image_size:
            return boolean(image, "sig_enforce")
        # What lies behind the Image is .bss.
        return place < len(self.data) and self.data[place] != 0

    @cached_property
    def _parameters_in_image(self) -> ImageParameters | None:
        return parameters_in(self.data)

    @cached_property
    def locked_down(self) -> bool:
        """Whether `lockdown=` or its .config locks it down, if it can be."""
        if not self.has_message(_LOCKDOWN):
            return False
        forced = ("LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY")
        return self.parameter("lockdown") in ("integrity", "confidentiality") or any(map(self.option, forced))

    @cached_property
    def blacklist(self) -> frozenset[str]:
        """The names in the last `module_blacklist=`."""
        return frozenset((self.parameter("module_blacklist") or "").split(","))

    @cached_property
    def built_in(self) -> frozenset[str]:
        """The names under /sys/module that its own code has."""
        if not isinstance(self.kernel, Image):
            return names_in_vmlinux(self.kernel)
        return self._parameters_in_image.names() if self._parameters_in_image else frozenset()

    @cached_property
    def oids(self) -> tuple[bytes, ...]:
        """The object identifiers that it knows, in DER, in the order of their numbers."""
        return kernel_oids(self.data)

    @property
    def relocates_per_cpu(self) -> bool:
        """Whether relocations of per-CPU data are applied; with extended versions, kernels began to do so."""
        return self.order is Order.CACHED and self.has_message("extended version crc+name presence does not match")

    @cached_property
    def page_size(self) -> int:
        """The size of a page in bytes, from the header of the Image; 4096 where that does not say."""
        if isinstance(self.kernel, Image):
            flags = self.kernel.header.flags
        else:
            flags = self.kernel.symbols.value("_kernel_flags_le_lo32") or 0
        return {2: 1 << 14, 3: 1 << 16}.get(flags >> 1 & 3, 1 << 12)

    @cached_property
    def randomized(self) -> bool:
        """Whether its address and that of modules is random; the firmware is taken to give a seed."""
        return self.has_message("KASLR disabled due to lack of seed") and self.parameter("nokaslr") is None

    @cached_property
    def address_bits(self) -> int | None:
        """The bits of its virtual addresses without LVA, from its .config or its own address; None when not known."""
        bits = (self.config or {}).get("CONFIG_ARM64_VA_BITS", "")
        if isinstance(self.kernel, Image) and bits.isdecimal():
            return min(int(bits), 48)
        if text := text_address(self.kernel):
            return ((1 << 64) - text - 1).bit_length() + 1
        return min(int(bits), 48) if bits.isdecimal() else None

    @cached_property
    def direct_modules(self) -> bool:
        """Whether modules lie in reach of a branch to the kernel, as long as there is room."""
        if not self.randomized:
            return True
        if self.has_message("pages in range for non-PLT usage"):
            return not self.has_message("module region forced by RANDOMIZE_MODULE_REGION_FULL")
        return self.option("RANDOMIZE_MODULE_REGION_FULL") is False

    @cached_property
    def struct_size(self) -> int | None:
        """The size of struct module in bytes, from the kernel's BTF; None when that does not say."""
        return struct_size(self.kernel, b"module")

    def has_hash(self, name: str) -> bool:
        """Whether a digest is built in, by the names of the drivers in the kernel's crypto."""
        return any(self.has_message(f"{name}-{driver}\0") for driver in ("generic", "lib", "arm64", "ce", "neon"))


def _parameters(cmdline: str) -> list[tuple[str, str | None]]:
    """The parameters on a command line with their values, None without `=`; `-` and `_` are the same in names."""
    try:
        parameters = shlex.split(cmdline)
    except ValueError as error:
        raise UnsupportedError(f"cannot be read: {error}", Location("--cmdline")) from error
    pairs = (parameter.partition("=") for parameter in parameters)
    return [(name.replace("-", "_"), value if equals else None) for name, equals, value in pairs]
