"""A release's folder of small modules, made of our own records, with the kernel's exports and the Module.symvers.

Modules and symbols are named after some of Linux 6.1, so that a fault can be put into this folder and into the real
one by the same words.
"""

import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from kinspect.artifacts.module.tree import ModuleTree
from kinspect.schemas import elf
from kinspect.views.depmod.files import Depmod
from tests.support import Named, Part, elf_of
from tests.toy_module import pkcs7, signed, version_row

RELEASE = "6.1.0-toy"
VERMAGIC = f"{RELEASE} SMP mod_unload modversions aarch64"
STRUCT_SIZE = 0x380
KMOD = 30
"""Debian 12's depmod, which writes no modules.weakdep."""
_LOCAL, _UNDEFINED = elf.STB_LOCAL << 4, 0
_WRITTEN = elf.SHF_ALLOC | elf.SHF_WRITE
_TEXT = 24 << 10
"""A module's code in bytes: enough that one cut to 20,000 bytes has lost its section headers."""


class ToyExport(NamedTuple):
    """A symbol that the kernel or a module exports; its CRC is that of its name."""

    name: str
    gpl: bool = False
    namespace: str = ""

    @property
    def crc(self) -> int:
        return zlib.crc32(self.name.encode())


class ToyModule(NamedTuple):
    """What a module exports and needs, and what its .modinfo says beside licence, name and vermagic."""

    exports: tuple[ToyExport, ...] = ()
    needs: tuple[str, ...] = ()
    info: tuple[str, ...] = ()


def _gpl(*names: str) -> tuple[ToyExport, ...]:
    return tuple(ToyExport(name, True) for name in names)


KERNEL = (
    ToyExport("module_layout"),
    ToyExport("_printk"),
    ToyExport("kfree"),
    *_gpl("crypto_shash_update", "nf_register_net_hooks", "register_pernet_subsys"),
    ToyExport("crypto_cipher_encrypt", True, "CRYPTO_INTERNAL"),
)
MODULES = {
    "lib/libcrc32c": ToyModule(_gpl("crc32c"), ("crypto_shash_update",)),
    "net/ipv4/netfilter/nf_defrag_ipv4": ToyModule(_gpl("nf_defrag_ipv4_enable"), ("nf_register_net_hooks",)),
    # Two are as long as a need of each module above, which can thus be made to need this one.
    "net/netfilter/nf_conntrack": ToyModule(
        _gpl("nf_ct_iterate_cleanup_net", "nf_ct_expect_insert", "nf_conntrack_register"),
        ("crc32c", "nf_defrag_ipv4_enable", "register_pernet_subsys"),
    ),
    "net/netfilter/nf_nat": ToyModule(
        (ToyExport("nf_nat_setup_info"), *_gpl("nf_nat_packet")),
        ("nf_ct_iterate_cleanup_net", "register_pernet_subsys", "_printk"),
    ),
    "net/netfilter/nf_nat_ftp": ToyModule((), ("nf_nat_setup_info", "nf_ct_expect_insert")),
    "net/netfilter/x_tables": ToyModule(_gpl("xt_register_targets"), ("_printk",)),
    "net/netfilter/xt_nat": ToyModule((), ("nf_nat_setup_info", "xt_register_targets")),
    "crypto/ansi_cprng": ToyModule((), ("crypto_cipher_encrypt",), ("import_ns=CRYPTO_INTERNAL",)),
    "drivers/net/tun": ToyModule(
        _gpl("tun_get_socket"),
        ("_printk", "kfree"),
        ("alias=devname:net/tun", "alias=char-major-10-200", "description=Universal TUN/TAP device driver"),
    ),
    "drivers/net/ethernet/microsoft/mana/mana": ToyModule(
        tuple(ToyExport(f"mana_gd_{what}", False, "NET_MANA") for what in ("a", "b", "c", "d", "e", "f")), ("kfree",)
    ),
    **{
        f"drivers/toy/toy_{number}": ToyModule(
            _gpl(f"toy_{number}_probe"), ("_printk",), (f"alias=platform:toy{number}",)
        )
        for number in range(16)
    },
}
"""The modules by their paths below `kernel`, without extension, in the order of modules.order."""
BUILT_IN = ("fs/ext4/ext4", "drivers/tty/serial/amba-pl011")
_CRCS = {one.name: one.crc for one in (*KERNEL, *(one for module in MODULES.values() for one in module.exports))}


def toy_module(name: str, module: ToyModule, crcs: Mapping[str, int] = _CRCS) -> bytes:
    """A signed module with versions, as modpost and sign-file of 6.1 leave it."""
    tables = [one for one in module.exports if not one.gpl], [one for one in module.exports if one.gpl]
    strings, spaces = b"", {}
    for one in module.exports:
        strings += one.name.encode() + b"\0"
        if one.namespace not in spaces:
            spaces[one.namespace] = len(strings)
            strings += one.namespace.encode() + b"\0"
    info = ("license=GPL", *module.info, f"name={name}", f"vermagic={VERMAGIC}")
    parts = [
        Part(".text", bytes(_TEXT), 0, elf.SHF_ALLOC | elf.SHF_EXECINSTR),
        Part("__ksymtab", bytes(12 * len(tables[0]))),
        Part("__ksymtab_gpl", bytes(12 * len(tables[1]))),
        Part("__kcrctab", _crcs_of(tables[0])),
        Part("__kcrctab_gpl", _crcs_of(tables[1])),
        Part("__ksymtab_strings", strings),
        Part(".modinfo", b"".join(pair.encode() + b"\0" for pair in info)),
        Part("__versions", b"".join(version_row(one, crcs[one]) for one in ("module_layout", *module.needs))),
        Part(".gnu.linkonce.this_module", (bytes(24) + name.encode()).ljust(STRUCT_SIZE, b"\0"), 0, _WRITTEN),
    ]
    symbols = []
    for table, ksymtab, kcrctab in zip(tables, (2, 3), (4, 5), strict=True):
        for number, one in enumerate(table):
            symbols += [
                Named(f"__ksymtab_{one.name}", 12 * number, ksymtab, _LOCAL),
                Named(f"__crc_{one.name}", 4 * number, kcrctab, _LOCAL),
                Named(f"__kstrtabns_{one.name}", spaces[one.namespace], 6, _LOCAL),
            ]
    symbols += [Named(one.name, 0) for one in module.exports]
    symbols += [Named(one, 0, _UNDEFINED) for one in module.needs]
    return signed(elf_of(*parts, symbols=symbols, e_type=elf.ET_REL), pkcs7(signature=bytes(range(256)) * 2))


def _crcs_of(exports: Iterable[ToyExport]) -> bytes:
    return b"".join(struct.pack("<I", one.crc) for one in exports)


def toy_release(base: Path) -> Path:
    """lib/modules/RELEASE below a folder, after depmod."""
    root = base / "lib/modules" / RELEASE
    for path, module in MODULES.items():
        place = root / f"kernel/{path}.ko"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(toy_module(Path(path).name, module))
    (root / "modules.order").write_text("".join(f"kernel/{path}.ko\n" for path in MODULES))
    (root / "modules.builtin").write_text("".join(f"kernel/{path}.ko\n" for path in BUILT_IN))
    pairs = (f"{Path(path).name}.file={path}\0{Path(path).name}.license=GPL\0" for path in BUILT_IN)
    (root / "modules.builtin.modinfo").write_text("".join(pairs).replace("amba-pl011.", "amba_pl011."))
    own_depmod(root)
    return root


def toy_symvers() -> str:
    """The Module.symvers of their build."""
    groups = {"vmlinux": KERNEL, **{path: module.exports for path, module in MODULES.items()}}
    return "".join(
        f"{one.crc:#010x}\t{one.name}\t{path}\tEXPORT_SYMBOL{'_GPL' * one.gpl}\t{one.namespace}\n"
        for path, exports in groups.items()
        for one in exports
    )


def own_depmod(root: Path) -> None:
    """What depmod writes, written by ours, which other tests compare with the real one byte for byte."""
    depmod = Depmod(ModuleTree(root), KMOD)
    contents = {name: depmod.contents(name) for name in depmod.names}
    for name, data in contents.items():
        # The old file may be linked elsewhere.
        (root / name).unlink(missing_ok=True)
        (root / name).write_bytes(data)
