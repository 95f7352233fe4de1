"""The tags in the output of make, such as CC in `  CC      init/main.o`, and what they mean.

A tag is the first word of a `quiet_cmd_...` in one of the kernel's Makefiles, or is printed by one of its scripts.
"""

from collections.abc import Iterator
from typing import NamedTuple


class Tag(NamedTuple):
    """A tag: its meaning in a few words, a paragraph on what runs and what it makes, and its place in the kernel."""

    name: str
    meaning: str
    page: str
    source: str


_ROWS = """\
CC | compiles C | scripts/Makefile.build, cmd_cc_o_c
  The compiler turns one C file into an object file (.o). asm-offsets.s and bounds.s, from which assembly and headers
  get the sizes and offsets of C structures, are made the same way. [M] marks an object of a module, [U] a user-space
  program for the target; without a mark the object is built into the kernel. fixdep then records in .NAME.o.cmd what
  the object depends on.
AS | assembles | scripts/Makefile.build, cmd_as_o_S; scripts/link-vmlinux.sh
  The compiler preprocesses a .S file and the assembler turns it into an object file. The two or three AS lines near
  the end are kallsyms, the symbol table inside the kernel, with which it prints symbol names in backtraces.
AR | collects objects in an archive | scripts/Makefile.build, cmd_ar_builtin; Makefile, cmd_ar_vmlinux.a
  ar puts the built-in objects of a folder, and the archives of its subfolders, into one built-in.a; lib.a holds code
  that is linked only if something uses it. They are thin archives: they list the objects without containing them.
  vmlinux.a is all of them together.
LD | links | scripts/link-vmlinux.sh; scripts/Makefile.build, cmd_ld_multi_m; scripts/Makefile.modfinal, cmd_ld_ko_o
  ld joins objects. LD vmlinux is the kernel, an ELF file with symbols; the .tmp_vmlinux lines before it are trial
  links that settle the symbol table. LD vmlinux.o is for modpost only. LD [M] NAME.o joins the objects of a module,
  and LD [M] NAME.ko makes the module.
HOSTCC | compiles C for the build machine | scripts/Makefile.host, cmd_host-csingle
  The host's compiler builds a tool that the build itself runs: fixdep, modpost, kallsyms, dtc, sign-file. None of it
  goes into the kernel.
HOSTCXX | compiles C++ for the build machine | scripts/Makefile.host, cmd_host-cxxobjs
  Like HOSTCC, for tools in C++: the graphical configuration, GCC plugins.
HOSTLD | links a tool for the build machine | scripts/Makefile.host, cmd_host-cmulti
  Links the objects from HOSTCC into a program that the build runs, such as scripts/dtc/dtc.
HOSTRUSTC | compiles Rust for the build machine | scripts/Makefile.host, cmd_host-rust
  Like HOSTCC, for tools in Rust.
LEX | generates a scanner | scripts/Makefile.host, cmd_flex
  flex turns a .l file into C, for the tools that parse a language: Kconfig, dtc, genksyms.
YACC | generates a parser | scripts/Makefile.host, cmd_bison
  bison turns a .y file into C, for the same tools.
FLEX | generates a scanner | tools/build/Makefile.build, cmd_flex
  Like LEX, in the Makefiles of tools/.
BISON | generates a parser | tools/build/Makefile.build, cmd_bison
  Like YACC, in the Makefiles of tools/.
MOC | generates Qt code | scripts/kconfig/Makefile, cmd_moc
  Qt's moc generates C++ from a header, for `make xconfig`.
GEN | generates a file | Makefile, cmd_makefile; and wherever a script generates a file
  A script or tool writes a source file, a list, or the Makefile of an O= folder. A build starts with generated
  headers, before it compiles any of the kernel.
UPD | updates a generated file | scripts/Kbuild.include, filechk
  The new contents differ from the file and replace it. If they are the same, nothing is printed and the file keeps
  its timestamp, so that nothing that depends on it is rebuilt.
CHK | checks whether a generated file has changed | scripts/Kbuild.include, filechk; kernel/Makefile, cmd_genikh
  Older kernels print it for every generated file, newer ones only for kheaders_data.tar.xz. UPD follows if the file
  has changed.
WRAP | generates a header that includes the generic one | scripts/Makefile.asm-generic, cmd_wrap
  arm64 has no asm/NAME.h of its own, so a header of one line is written that includes asm-generic/NAME.h.
REMOVE | removes headers that are no longer generated | scripts/Makefile.asm-generic, cmd_remove
  Deletes wrappers that this version of the kernel does not generate.
SYSHDR | generates the header of system call numbers | arch/*/kernel/syscalls/Makefile, cmd_syshdr
  syscallhdr.sh writes __NR_ macros from a table of system calls. On arm64 only kernels newer than 6.1 do this.
SYSTBL | generates the system call table | arch/*/kernel/syscalls/Makefile, cmd_systbl
  syscalltbl.sh writes, from the same table, the file that the kernel includes to fill sys_call_table.
SYSNR | generates the number of system calls | arch/*/kernel/syscalls/Makefile, cmd_sysnr
  syscallnr.sh writes how many system calls there are.
CALL | runs a script that only checks | Kbuild, cmd_syscalls
  A script that must succeed: checksyscalls.sh warns about system calls that the architecture lacks, and in older
  kernels atomic/check-atomics.sh compares generated headers. It runs in every build.
CHKSHA1 | checks that a generated header was not edited | Kbuild, cmd_check_sha1
  Compares the checksum in the last line of an atomic header with its text.
CHECK | runs sparse on a C file | scripts/Makefile.build, cmd_checksrc
  With make C=1 sparse checks each file that is compiled, with C=2 every file.
CPP | preprocesses | scripts/Makefile.build, cmd_cpp_i_c
  Writes the preprocessed source, NAME.i or NAME.s. Either someone named this file on the command line of make, or a
  script needs it.
LDS | generates a linker script | scripts/Makefile.build, cmd_cpp_lds_S
  The preprocessor turns NAME.lds.S into NAME.lds. vmlinux.lds says which section goes where in the kernel.
SYM | lists the types behind symbol versions | scripts/Makefile.build, cmd_cc_symtypes_c
  genksyms writes a .symtypes file: what each CRC of MODVERSIONS is computed from.
MKLST | writes assembly mixed with source | scripts/Makefile.build, cmd_cc_lst_c
  objdump writes a .lst file that was named on the command line of make.
ASN.1 | generates a decoder | scripts/Makefile.build, cmd_asn1_compiler
  asn1_compiler generates C from a grammar, for keys, certificates and signatures, which are encoded in ASN.1.
PERLASM | generates assembly with Perl | arch/arm64/crypto/Makefile, cmd_perlasm
  A Perl script writes an assembly file: hashes and ciphers from OpenSSL.
UNROLL | unrolls loops | lib/raid6/Makefile, cmd_unroll
  awk writes a C file in which a loop body is repeated: the arithmetic of RAID 6.
TABLE | generates a table | lib/raid6/Makefile, cmd_mktable
  mktables writes the RAID 6 tables as C.
COPY | copies a file | scripts/Makefile.lib, cmd_copy
  cp or cat, when a file is needed under a second name.
CAT | joins files | lib/test_fortify/Makefile, cmd_gen_fortify_log
  cat joins the parts of a list into one file.
TEST | checks what the compiler must reject | lib/test_fortify/Makefile, cmd_test_fortify
  A file with a deliberate overflow is compiled, and the compiler must warn about it: the proof that FORTIFY_SOURCE
  works.
HDRTEST | compiles a header by itself | usr/include/Makefile, cmd_hdrtest
  The header must include everything that it needs.
HDRINST | exports a header to user space | scripts/Makefile.headersinst, cmd_install
  headers_install.sh removes the parts of a header that are for the kernel only, and writes the rest to usr/include.
DTC | compiles a device tree | scripts/Makefile.lib, cmd_dtc
  The preprocessor reads a .dts, and dtc compiles it to a .dtb, the description of a board's hardware that a boot
  loader passes to the kernel.
DTC_CHK | compiles a device tree and validates it | scripts/Makefile.lib, cmd_dtb
  Like DTC, with CHECK_DTBS=1: dt-validate then checks it against the schemas of the bindings.
DTOVL | applies overlays to a device tree | scripts/Makefile.lib, cmd_fdtoverlay
  fdtoverlay merges a base .dtb and .dtbo files into one .dtb.
OVL | applies overlays to a device tree | scripts/Makefile.dtbs, cmd_fdtoverlay
  Like DTOVL, in newer kernels.
DTB | wraps a device tree in assembly | scripts/Makefile.lib, cmd_dt_S_dtb
  Writes an assembly file that includes the .dtb, which is then linked into the kernel.
CHKDT | checks the device tree bindings | Documentation/devicetree/bindings/Makefile
  dt-doc-validate checks the schemas.
DTEX | extracts the example from a binding | Documentation/devicetree/bindings/Makefile
  The example is then compiled like any device tree.
LINT | checks the style of device tree bindings | Documentation/devicetree/bindings/Makefile
  yamllint checks the schemas.
SCHEMA | collects the device tree bindings | Documentation/devicetree/bindings/Makefile
  dt-mk-schema writes all schemas into one file.
MODPOST | matches exports and imports | scripts/Makefile.modpost, cmd_modpost
  modpost reads the objects of the kernel and of all modules: every symbol that a module needs must be exported by the
  kernel or by another module. It writes Module.symvers, and for each module a NAME.mod.c with its dependencies,
  aliases and symbol versions. `ERROR: modpost` comes from here.
BTF | generates type information for BPF | scripts/link-vmlinux.sh; scripts/Makefile.modfinal, cmd_btf_ko
  pahole turns DWARF into BTF, compact descriptions of all types: BTF vmlinux for the kernel, BTF [M] for a module.
BTFIDS | fills in BTF type numbers | scripts/link-vmlinux.sh
  resolve_btfids writes into vmlinux the BTF numbers of the types and functions that the kernel refers to.
NM | lists symbols | scripts/link-vmlinux.sh, mksysmap
  mksysmap runs nm to list the kernel's symbols and their addresses: System.map, and the lists that KSYMS reads.
SYSMAP | writes System.map | scripts/link-vmlinux.sh, mksysmap
  Like NM, in older kernels: the symbols of vmlinux with their addresses.
KSYMS | generates the symbol table inside the kernel | scripts/link-vmlinux.sh, kallsyms
  scripts/kallsyms writes assembly with all names, compressed. It runs two or three times, because the table itself
  moves the symbols that it lists.
KSYM | generates the symbol table inside the kernel | scripts/link-vmlinux.sh, kallsyms
  Like KSYMS, in older kernels.
KALLSYMS | generates the symbol table inside the kernel | scripts/link-vmlinux.sh, kallsyms
  Like KSYMS, in older kernels.
SORTTAB | sorts tables of the kernel | scripts/link-vmlinux.sh, sorttable
  sorttable sorts __ex_table in vmlinux, which the kernel searches when an access to memory faults. The kernel then
  does not have to sort it at boot.
SORTEX | sorts the exception table | scripts/link-vmlinux.sh
  Like SORTTAB, in older kernels.
RELOCS | extracts relocations | arch/x86/boot/compressed/Makefile, cmd_relocs
  Lists what must be patched if the kernel runs at another address, on x86 and MIPS; arm64 has this list in .rela.dyn.
OBJCOPY | writes the raw Image, or changes an ELF file | arch/arm64/boot/Makefile; scripts/Makefile.lib, cmd_objcopy
  objcopy -O binary keeps the parts of vmlinux that are loaded and drops ELF headers, symbols and DWARF; the result is
  arch/arm64/boot/Image. Other OBJCOPY lines strip the vDSO, prefix symbols, or wrap data in an object.
GZIP | compresses with gzip | scripts/Makefile.lib, cmd_gzip; scripts/Makefile.modinst
  Image.gz, config_data.gz for IKCONFIG, the payload of vmlinuz.efi, or an installed module.
BZIP2 | compresses with bzip2 | scripts/Makefile.lib, cmd_bzip2
LZMA | compresses with lzma | scripts/Makefile.lib, cmd_lzma
LZO | compresses with lzop | scripts/Makefile.lib, cmd_lzo
LZ4 | compresses with lz4 | scripts/Makefile.lib, cmd_lz4
  The legacy frame format, which the kernel's own decompressor reads.
XZKERN | compresses a kernel with xz | scripts/Makefile.lib, cmd_xzkern
  xz with a filter for the machine code of the architecture.
XZMISC | compresses with xz | scripts/Makefile.lib, cmd_xzmisc
XZ | compresses an installed module with xz | scripts/Makefile.modinst, cmd_xz
  With CONFIG_MODULE_COMPRESS_XZ the .ko becomes a .ko.xz.
ZSTD | compresses with zstd | scripts/Makefile.lib, cmd_zstd; scripts/Makefile.modinst
  An image, or an installed module: the .ko becomes a .ko.zst.
ZSTD22 | compresses with zstd at its highest level | scripts/Makefile.lib, cmd_zstd22
UIMAGE | wraps a kernel for U-Boot | scripts/Makefile.lib, cmd_uimage
  mkimage puts its 64-byte header before the image.
ITS | writes the source of a FIT image | arch/mips/boot/Makefile
FIT | makes a FIT image | scripts/Makefile.lib, cmd_fit
  make_fit.py packs the Image together with device trees; the boot loader chooses one of them.
STUBCPY | prepares objects of the EFI stub | drivers/firmware/efi/libstub/Makefile, cmd_stubcopy
  objcopy renames symbols and sections, so that the small program that EFI starts cannot call the rest of the kernel.
  Absolute addresses in it are an error.
HYPCOPY | prefixes the symbols of the KVM hypervisor | arch/arm64/kvm/hyp/nvhe/Makefile, cmd_hypcopy
  objcopy puts __kvm_nvhe_ before each symbol of the code that runs at EL2. That code is linked into vmlinux but calls
  nothing outside of itself.
HYPREL | lists the relocations of the KVM hypervisor | arch/arm64/kvm/hyp/nvhe/Makefile, cmd_hyprel
  gen-hyprel writes assembly that lists the places that hold EL2 addresses.
VDSOSYM | writes the offsets of symbols in the vDSO | arch/arm64/kernel/vdso/Makefile, cmd_vdsosym
  Generates a header from the output of nm for the vDSO, the code that the kernel maps into every process.
VDSOCHK | checks the vDSO | lib/vdso/Makefile, cmd_vdso_check
  It must have no dynamic relocations.
CC32 | compiles for the 32-bit vDSO | arch/arm64/kernel/vdso32/Makefile, cmd_vdsocc
  Uses a second compiler, set by CROSS_COMPILE_COMPAT.
AS32 | assembles for the 32-bit vDSO | arch/arm64/kernel/vdso32/Makefile, cmd_vdsoas
LD32 | links the 32-bit vDSO | arch/arm64/kernel/vdso32/Makefile, cmd_vdsold
MUNGE | corrects the 32-bit vDSO | arch/arm64/kernel/vdso32/Makefile, cmd_vdsomunge
  vdsomunge sets the flags that its ELF header must have.
INSTALL32 | installs the 32-bit vDSO | arch/arm64/kernel/vdso32/Makefile, cmd_vdso_install
PIGGY | wraps a binary file in an object | arch/sparc/boot/Makefile, cmd_piggy
  The object can then be linked: for example, the compressed kernel into its decompressor.
RSTRIP | removes relocations | scripts/Makefile.vmlinux, cmd_strip_relocs
  In newer kernels, removes from vmlinux the relocations that the last link kept.
INSTALL | installs a file | scripts/Makefile.modinst, cmd_install; Makefile, cmd_install
  modules_install copies modules to lib/modules/RELEASE; install copies the kernel, headers_install the headers.
SYMLINK | makes a symbolic link | scripts/Makefile.modinst; scripts/gdb/linux/Makefile, cmd_symlink
  For example lib/modules/RELEASE/build, which modules_install makes in newer kernels.
STRIP | removes debug information from an installed module | scripts/Makefile.modinst, cmd_strip
  strip --strip-debug, with INSTALL_MOD_STRIP=1. It runs before signing, since it would break the signature.
SIGN | signs an installed module | scripts/Makefile.modinst, cmd_sign
  With CONFIG_MODULE_SIG_ALL, sign-file appends a signature. The .ko in the build folder stays unsigned.
DEPMOD | writes the indexes of the installed modules | Makefile, cmd_depmod
  depmod writes modules.dep and the other indexes, without which modprobe finds no modules.
GENKEY | generates the key that signs modules | certs/Makefile, cmd_gen_key
  openssl writes certs/signing_key.pem. The kernel contains its certificate, and trusts modules that are signed with
  the key.
CERT | extracts certificates | certs/Makefile, cmd_extract_certs
  extract-cert writes the certificates that are built into the kernel as trusted.
SYNC | brings the configuration up to date | Makefile
  .config is newer than the files generated from it: include/config and include/generated/autoconf.h are regenerated.
DESCEND | enters a folder of tools/ | tools/scripts/Makefile.include, descend
  objtool and resolve_btfids have Makefiles of their own.
SUBDIR | enters a subfolder of a tool | tools/scripts/Makefile.include
LINK | links a tool | tools/scripts/Makefile.include
  In tools/: like HOSTLD elsewhere.
MKDIR | makes a folder | tools/build/Makefile.build, cmd_mkdir
  In tools/.
CXX | compiles C++ | tools/build/Makefile.build, cmd_cxx_o_c
  In tools/.
CLANG | compiles BPF code | tools/scripts/Makefile.include
  In tools/: clang compiles C to a BPF object.
GENSKEL | generates a header from a BPF object | tools/scripts/Makefile.include
  In tools/: bpftool writes the C code that loads it.
UNINST | removes an installed tool | tools/scripts/Makefile.include
MKELF | finds out the ELF class of the target | scripts/mod/Makefile, cmd_elfconfig
  mk_elfconfig reads an empty object and writes its class and byte order to elfconfig.h, which modpost includes.
SEEDHDR | writes the seed for randomized structure layouts | scripts/gcc-plugins/Makefile
  The order of members in some structures depends on it.
GENSEED | generates the seed for randomized structure layouts | scripts/basic/Makefile, cmd_create_randstruct_seed
RUSTC | compiles Rust | scripts/Makefile.build, cmd_rustc_o_rs; rust/Makefile
  rustc compiles a crate. L marks a library, P a procedural macro, T a test.
CLIPPY | compiles Rust and checks its style | Makefile, RUSTC_OR_CLIPPY
  Like RUSTC, with make CLIPPY=1.
BINDGEN | generates Rust declarations from C headers | rust/Makefile, cmd_bindgen
  bindgen reads the kernel's headers.
EXPORTS | lists what Rust code exports | rust/Makefile, cmd_exports
  Writes a header with an EXPORT_SYMBOL_RUST_GPL line for each symbol of an object.
RUSTDOC | generates the documentation of Rust code | rust/Makefile, cmd_rustdoc
RUSTSYSROOT | makes a folder with Rust's standard libraries | rust/Makefile, cmd_rustsysroot
  For the tests of Rust code.
CLEAN | deletes what was built | scripts/Makefile.clean; Makefile, cmd_rmfiles
  make clean, mrproper, distclean.
TAR | makes a source archive | scripts/Makefile.package
  For packages.
SPHINX | generates the documentation | Documentation/Makefile, cmd_sphinx
CONMK | generates a character table of the console | drivers/tty/vt/Makefile, cmd_conmk
LOGO | generates the boot logo | drivers/video/logo/Makefile, cmd_logo
  pnmtologo turns a picture into C.
GENKDB | generates the default commands of the kdb debugger | kernel/debug/kdb/Makefile, cmd_gen-kdb
POLICY | generates the built-in policy of TOMOYO | security/tomoyo/Makefile, cmd_policy
GENMAP | generates the key map of the speakup driver | drivers/accessibility/speakup/Makefile, cmd_genmap
MKMAP | generates the header for GENMAP | drivers/accessibility/speakup/Makefile, cmd_mkmap
MKREG | generates a table of registers | drivers/gpu/drm/radeon/Makefile, cmd_mkregtable
"""
"""A line for each tag, with its meaning and source; the indented lines after it are its page."""


def _tags() -> Iterator[Tag]:
    for row in _ROWS.removesuffix("\n").replace("\n  ", "\0").split("\n"):
        head, *page = row.split("\0")
        name, meaning, source = head.split(" | ")
        yield Tag(name, meaning, " ".join(page), source)


TAGS = {tag.name: tag for tag in _tags()}
"""Every tag that kinspect knows, by name."""
MARKS = {"M": "for modules", "U": "for user-space programs", "C": "and validates it"}
"""The meaning of the mark in brackets after a tag."""
