"""What the tags of a build mean: the word that opens each line of make's output, such as CC in `  CC      init/main.o`.

Each tag is the beginning of a `quiet_cmd_...` in one of the kernel's Makefiles, or is printed by one of its scripts.
"""

from collections.abc import Iterator
from typing import NamedTuple


class Tag(NamedTuple):
    """One tag: its meaning in a few words, what runs and what comes out, and where the kernel's sources say so."""

    name: str
    meaning: str
    page: str
    source: str


_ROWS = """\
CC | compiles C | scripts/Makefile.build, cmd_cc_o_c
  The compiler makes an object file (.o) of one C file; asm-offsets.s and bounds.s, which give the sizes of C
  structures to assembly and headers, are made the same way. Plain it is for the kernel, with [M] for a module, with
  [U] for a program that runs on the machine that the kernel is for. fixdep then notes in .NAME.o.cmd what it
  depends on.
AS | assembles | scripts/Makefile.build, cmd_as_o_S; scripts/link-vmlinux.sh
  The compiler preprocesses a .S file and the assembler makes an object file of it. The two or three AS lines near
  the end are kallsyms: the table of symbols that the kernel carries to print names in a backtrace.
AR | collects objects in an archive | scripts/Makefile.build, cmd_ar_builtin; Makefile, cmd_ar_vmlinux.a
  ar puts the built-in objects of a folder, and the archives of its subfolders, in one built-in.a; lib.a is for code
  that is linked only when it is used. They are thin archives: they name the objects and do not contain them.
  vmlinux.a is all of them.
LD | links | scripts/link-vmlinux.sh; scripts/Makefile.build, cmd_ld_multi_m; scripts/Makefile.modfinal, cmd_ld_ko_o
  ld joins objects. LD vmlinux is the kernel, an ELF file with symbols, and the .tmp_vmlinux lines before it are
  trial links that settle the symbol table. LD vmlinux.o is only read by modpost. LD [M] NAME.o joins the objects of
  a module, LD [M] NAME.ko is the module.
HOSTCC | compiles C for this machine | scripts/Makefile.host, cmd_host-csingle
  The compiler of the machine that builds makes a tool that the build itself runs: fixdep, modpost, kallsyms, dtc,
  sign-file. Nothing of it goes into the kernel.
HOSTCXX | compiles C++ for this machine | scripts/Makefile.host, cmd_host-cxxobjs
  As HOSTCC, for tools in C++: the graphical configuration, gcc plugins.
HOSTLD | links a tool for this machine | scripts/Makefile.host, cmd_host-cmulti
  Joins the objects that HOSTCC made to one program that the build runs, such as scripts/dtc/dtc.
HOSTRUSTC | compiles Rust for this machine | scripts/Makefile.host, cmd_host-rust
  As HOSTCC, for tools in Rust.
LEX | makes a scanner | scripts/Makefile.host, cmd_flex
  flex makes C of a .l file, for the tools that read a language: the configuration, device trees, symbol versions.
YACC | makes a parser | scripts/Makefile.host, cmd_bison
  bison makes C of a .y file, for the same tools.
FLEX | makes a scanner | tools/build/Makefile.build, cmd_flex
  As LEX, in the Makefiles of tools/.
BISON | makes a parser | tools/build/Makefile.build, cmd_bison
  As YACC, in the Makefiles of tools/.
MOC | makes Qt code | scripts/kconfig/Makefile, cmd_moc
  Qt's moc makes C++ of a header, for `make xconfig`.
GEN | generates a file | Makefile, cmd_makefile; and where a script makes a file
  A script or a tool writes a source file, a list or the Makefile of an O= folder. Headers generated so are why the
  first minutes of a build compile nothing of the kernel.
UPD | writes a generated file that changed | scripts/Kbuild.include, filechk
  The contents were made anew, differ from the file, and replace it. When they do not differ nothing is printed and
  the file keeps its time, so that nothing that depends on it is built again.
CHK | looks whether a generated file changed | scripts/Kbuild.include, filechk; kernel/Makefile, cmd_genikh
  Older kernels print it for every generated file; kheaders_data.tar.xz has it still. UPD follows when it changed.
WRAP | makes a header that includes the generic one | scripts/Makefile.asm-generic, cmd_wrap
  arm64 has no asm/NAME.h of its own: a file of one line is written that includes asm-generic/NAME.h.
REMOVE | removes headers that are no longer generated | scripts/Makefile.asm-generic, cmd_remove
  Wrappers whose header is gone are deleted.
SYSHDR | makes the header of system call numbers | arch/*/kernel/syscalls/Makefile, cmd_syshdr
  syscallhdr.sh writes __NR_ macros from a table of system calls. 6.1 has none for arm64; newer kernels have.
SYSTBL | makes the table of system calls | arch/*/kernel/syscalls/Makefile, cmd_systbl
  syscalltbl.sh writes, from the same table, what the kernel includes to fill sys_call_table.
SYSNR | makes the count of system calls | arch/*/kernel/syscalls/Makefile, cmd_sysnr
  syscallnr.sh writes how many system calls there are.
CALL | runs a check that has no output | Kbuild, cmd_syscalls
  A script that must succeed: checksyscalls.sh warns of system calls that the architecture lacks, and in older
  kernels atomic/check-atomics.sh compares generated headers. It is printed at every build.
CHKSHA1 | checks that a generated header was not edited | Kbuild, cmd_check_sha1
  The checksum in the last line of an atomic header is compared with its text.
CHECK | runs sparse on a C file | scripts/Makefile.build, cmd_checksrc
  With make C=1 the checker looks at each file that is compiled, with C=2 at every file.
CPP | preprocesses | scripts/Makefile.build, cmd_cpp_i_c
  Writes the preprocessed source, NAME.i or NAME.s. Somebody asked for this one file, or a script needs it.
LDS | makes a linker script | scripts/Makefile.build, cmd_cpp_lds_S
  The preprocessor makes NAME.lds of NAME.lds.S. vmlinux.lds says which section goes where in the kernel.
SYM | lists the types behind symbol versions | scripts/Makefile.build, cmd_cc_symtypes_c
  genksyms writes a .symtypes file: what each CRC of MODVERSIONS was computed from.
MKLST | writes assembly mixed with source | scripts/Makefile.build, cmd_cc_lst_c
  objdump writes a .lst file that somebody asked for.
ASN.1 | makes a decoder | scripts/Makefile.build, cmd_asn1_compiler
  asn1_compiler makes C of a grammar: keys, certificates and signatures are written in ASN.1.
PERLASM | makes assembly with Perl | arch/arm64/crypto/Makefile, cmd_perlasm
  A Perl script writes an assembly file: hashes and ciphers that come from OpenSSL.
UNROLL | unrolls loops | lib/raid6/Makefile, cmd_unroll
  awk writes a C file with a loop repeated: the RAID 6 arithmetic.
TABLE | makes a table | lib/raid6/Makefile, cmd_mktable
  mktables writes the RAID 6 tables as C.
COPY | copies a file | scripts/Makefile.lib, cmd_copy
  cp or cat: a file is needed under a second name.
CAT | joins files | lib/test_fortify/Makefile, cmd_gen_fortify_log
  cat: the parts of a list become one file.
TEST | checks what the compiler must refuse | lib/test_fortify/Makefile, cmd_test_fortify
  A file with a deliberate overflow is compiled, and the compiler must warn: FORTIFY_SOURCE works.
HDRTEST | compiles a header alone | usr/include/Makefile, cmd_hdrtest
  A header must be complete in itself.
HDRINST | exports a header to user space | scripts/Makefile.headersinst, cmd_install
  headers_install.sh takes the kernel-only parts out of a header and writes it to usr/include.
DTC | compiles a device tree | scripts/Makefile.lib, cmd_dtc
  The preprocessor reads a .dts, and dtc makes the .dtb that a boot loader hands to the kernel: what hardware a
  board has.
DTC_CHK | compiles a device tree and validates it | scripts/Makefile.lib, cmd_dtb
  As DTC, with CHECK_DTBS=1: dt-validate then holds it against the bindings' schemas.
DTOVL | applies overlays to a device tree | scripts/Makefile.lib, cmd_fdtoverlay
  fdtoverlay makes one .dtb of a base and its .dtbo files.
OVL | applies overlays to a device tree | scripts/Makefile.dtbs, cmd_fdtoverlay
  As DTOVL, in newer kernels.
DTB | wraps a device tree in assembly | scripts/Makefile.lib, cmd_dt_S_dtb
  An assembly file is written that includes the .dtb, which is then linked into the kernel.
CHKDT | checks the device tree bindings | Documentation/devicetree/bindings/Makefile
  dt-doc-validate looks at the schemas.
DTEX | takes the example out of a binding | Documentation/devicetree/bindings/Makefile
  The example is then compiled like any device tree.
LINT | checks the style of device tree bindings | Documentation/devicetree/bindings/Makefile
  yamllint looks at the schemas.
SCHEMA | collects the device tree bindings | Documentation/devicetree/bindings/Makefile
  dt-mk-schema makes one file of all schemas.
MODPOST | matches exports and imports | scripts/Makefile.modpost, cmd_modpost
  modpost reads the objects of all modules and of the kernel: every symbol that a module needs must be exported by
  somebody. It writes Module.symvers and a NAME.mod.c for each module, with its dependencies, aliases and symbol
  versions. `ERROR: modpost` comes from here.
BTF | makes the type information that BPF reads | scripts/link-vmlinux.sh; scripts/Makefile.modfinal, cmd_btf_ko
  pahole turns DWARF into BTF: compact descriptions of all types, for the kernel (BTF vmlinux) and for each module
  (BTF [M]).
BTFIDS | fills in type numbers | scripts/link-vmlinux.sh
  resolve_btfids writes into vmlinux the BTF numbers of the types and functions that the kernel refers to.
NM | lists symbols | scripts/link-vmlinux.sh, mksysmap
  mksysmap writes, with nm, the kernel's symbols and addresses: System.map, and lists that KSYMS reads.
SYSMAP | writes System.map | scripts/link-vmlinux.sh, mksysmap
  As NM, in older kernels: the symbols of vmlinux with their addresses.
KSYMS | makes the table of symbols inside the kernel | scripts/link-vmlinux.sh, kallsyms
  scripts/kallsyms writes assembly with all names, compressed. It is done two times or three, for the table moves
  the symbols that it lists.
KSYM | makes the table of symbols inside the kernel | scripts/link-vmlinux.sh, kallsyms
  As KSYMS, in older kernels.
KALLSYMS | makes the table of symbols inside the kernel | scripts/link-vmlinux.sh, kallsyms
  As KSYMS, in older kernels.
SORTTAB | sorts the tables that the kernel searches | scripts/link-vmlinux.sh, sorttable
  sorttable sorts __ex_table in vmlinux, where a fault looks up how to go on, so that booting need not.
SORTEX | sorts the table of exceptions | scripts/link-vmlinux.sh
  As SORTTAB, in older kernels.
RELOCS | extracts relocations | arch/x86/boot/compressed/Makefile, cmd_relocs
  What must be patched when the kernel runs at another address, on x86 and MIPS; arm64 has them in .rela.dyn.
OBJCOPY | writes the raw Image, or changes an ELF file | arch/arm64/boot/Makefile; scripts/Makefile.lib, cmd_objcopy
  objcopy -O binary takes from vmlinux what is loaded and drops ELF headers, symbols and DWARF: what is left is
  arch/arm64/boot/Image. Other OBJCOPY lines strip the vDSO, prefix symbols, or wrap data in an object.
GZIP | compresses with gzip | scripts/Makefile.lib, cmd_gzip; scripts/Makefile.modinst
  Image.gz, config_data.gz for IKCONFIG, the payload of vmlinuz.efi, or an installed module.
BZIP2 | compresses with bzip2 | scripts/Makefile.lib, cmd_bzip2
LZMA | compresses with lzma | scripts/Makefile.lib, cmd_lzma
LZO | compresses with lzop | scripts/Makefile.lib, cmd_lzo
LZ4 | compresses with lz4 | scripts/Makefile.lib, cmd_lz4
  The legacy frame format, which the kernel's own decompressor reads.
XZKERN | compresses with xz, for a kernel | scripts/Makefile.lib, cmd_xzkern
  xz with a filter for the architecture's machine code.
XZMISC | compresses with xz | scripts/Makefile.lib, cmd_xzmisc
XZ | compresses an installed module with xz | scripts/Makefile.modinst, cmd_xz
  The .ko becomes .ko.xz, as CONFIG_MODULE_COMPRESS_XZ asks.
ZSTD | compresses with zstd | scripts/Makefile.lib, cmd_zstd; scripts/Makefile.modinst
  An image, or an installed module: .ko becomes .ko.zst.
ZSTD22 | compresses with zstd at its highest level | scripts/Makefile.lib, cmd_zstd22
UIMAGE | wraps a kernel for U-Boot | scripts/Makefile.lib, cmd_uimage
  mkimage puts its header of 64 bytes before the image.
ITS | writes the recipe of a FIT image | arch/mips/boot/Makefile
FIT | makes a FIT image | scripts/Makefile.lib, cmd_fit
  make_fit.py packs the Image and device trees for a boot loader that chooses among them.
STUBCPY | prepares objects of the EFI stub | drivers/firmware/efi/libstub/Makefile, cmd_stubcopy
  objcopy renames symbols and sections, so that the small program that EFI starts calls no other code of the kernel;
  absolute addresses in it are an error.
HYPCOPY | prefixes the symbols of KVM's hypervisor part | arch/arm64/kvm/hyp/nvhe/Makefile, cmd_hypcopy
  objcopy puts __kvm_nvhe_ before each name in the code that runs at EL2: it is linked into vmlinux and calls
  nothing outside.
HYPREL | lists relocations of KVM's hypervisor part | arch/arm64/kvm/hyp/nvhe/Makefile, cmd_hyprel
  gen-hyprel writes assembly with the places that hold EL2 addresses.
VDSOSYM | writes the offsets in the vDSO | arch/arm64/kernel/vdso/Makefile, cmd_vdsosym
  nm lists the symbols of the vDSO, the code that the kernel maps into every process, and a header of their offsets
  is made.
VDSOCHK | checks the vDSO | lib/vdso/Makefile, cmd_vdso_check
  It must have no dynamic relocations.
CC32 | compiles for the 32-bit vDSO | arch/arm64/kernel/vdso32/Makefile, cmd_vdsocc
  With a second compiler, CROSS_COMPILE_COMPAT.
AS32 | assembles for the 32-bit vDSO | arch/arm64/kernel/vdso32/Makefile, cmd_vdsoas
LD32 | links the 32-bit vDSO | arch/arm64/kernel/vdso32/Makefile, cmd_vdsold
MUNGE | corrects the 32-bit vDSO | arch/arm64/kernel/vdso32/Makefile, cmd_vdsomunge
  vdsomunge sets the flags that its ELF header must have.
INSTALL32 | installs the 32-bit vDSO | arch/arm64/kernel/vdso32/Makefile, cmd_vdso_install
PIGGY | wraps a blob in an object | arch/sparc/boot/Makefile, cmd_piggy
  Data become an object that can be linked, such as the kernel in its decompressor.
RSTRIP | removes relocations | scripts/Makefile.vmlinux, cmd_strip_relocs
  The relocations that the last link kept are taken out of vmlinux, in newer kernels.
INSTALL | copies a product to where it is used | scripts/Makefile.modinst, cmd_install; Makefile, cmd_install
  A module to lib/modules/RELEASE by modules_install, the kernel by install, headers by headers_install.
SYMLINK | makes a symbolic link | scripts/Makefile.modinst; scripts/gdb/linux/Makefile, cmd_symlink
  As lib/modules/RELEASE/build by modules_install of newer kernels.
STRIP | removes debugging information from an installed module | scripts/Makefile.modinst, cmd_strip
  strip --strip-debug, with INSTALL_MOD_STRIP=1. It is done before signing, for it would break the signature.
SIGN | signs an installed module | scripts/Makefile.modinst, cmd_sign
  sign-file appends a signature, as CONFIG_MODULE_SIG_ALL asks. The .ko in the build folder stays unsigned.
DEPMOD | writes the indexes of the installed modules | Makefile, cmd_depmod
  depmod writes modules.dep and its siblings, without which modprobe finds nothing.
GENKEY | makes the key that signs modules | certs/Makefile, cmd_gen_key
  openssl makes certs/signing_key.pem. A kernel takes only modules that were signed with the key of its own build.
CERT | extracts certificates | certs/Makefile, cmd_extract_certs
  extract-cert writes those that the kernel carries and trusts.
SYNC | brings the configuration up to date | Makefile
  .config is newer than what was made of it: include/config and include/generated/autoconf.h are written again.
DESCEND | goes into a folder of tools/ | tools/scripts/Makefile.include, descend
  objtool or resolve_btfids are built by Makefiles of their own.
SUBDIR | goes into a subfolder of a tool | tools/scripts/Makefile.include
LINK | links a tool | tools/scripts/Makefile.include
  In tools/, as HOSTLD elsewhere.
MKDIR | makes a folder | tools/build/Makefile.build, cmd_mkdir
  In tools/.
CXX | compiles C++ | tools/build/Makefile.build, cmd_cxx_o_c
  In tools/.
CLANG | compiles BPF code | tools/scripts/Makefile.include
  In tools/: clang makes a BPF object.
GENSKEL | makes a header of a BPF object | tools/scripts/Makefile.include
  In tools/: bpftool writes C that loads it.
UNINST | removes an installed tool | tools/scripts/Makefile.include
MKELF | finds out what the target's ELF is | scripts/mod/Makefile, cmd_elfconfig
  mk_elfconfig looks at an empty object and writes class and byte order to elfconfig.h, which modpost was built
  with.
SEEDHDR | writes the seed of a randomised layout | scripts/gcc-plugins/Makefile
  For structures whose members are shuffled.
GENSEED | makes the seed of a randomised layout | scripts/basic/Makefile, cmd_create_randstruct_seed
RUSTC | compiles Rust | scripts/Makefile.build, cmd_rustc_o_rs; rust/Makefile
  rustc makes an object of a crate; L marks a library, P a procedural macro, T a test.
CLIPPY | compiles Rust and checks its style | Makefile, RUSTC_OR_CLIPPY
  RUSTC with make CLIPPY=1.
BINDGEN | makes Rust declarations of C headers | rust/Makefile, cmd_bindgen
  bindgen reads the kernel's headers.
EXPORTS | lists what Rust code exports | rust/Makefile, cmd_exports
  A header of EXPORT_SYMBOL_RUST_GPL lines is made of the symbols in an object.
RUSTDOC | makes the documentation of Rust code | rust/Makefile, cmd_rustdoc
RUSTSYSROOT | makes a folder of Rust's own libraries | rust/Makefile, cmd_rustsysroot
  For the tests of Rust code.
CLEAN | deletes what was built | scripts/Makefile.clean; Makefile, cmd_rmfiles
  make clean, mrproper, distclean.
TAR | makes a source archive | scripts/Makefile.package
  For packages.
SPHINX | makes the documentation | Documentation/Makefile, cmd_sphinx
CONMK | makes a character table of the console | drivers/tty/vt/Makefile, cmd_conmk
LOGO | makes the boot logo | drivers/video/logo/Makefile, cmd_logo
  pnmtologo writes C of a picture.
GENKDB | makes the default commands of the debugger kdb | kernel/debug/kdb/Makefile, cmd_gen-kdb
POLICY | makes the built-in policy of TOMOYO | security/tomoyo/Makefile, cmd_policy
GENMAP | makes keys of the speech driver | drivers/accessibility/speakup/Makefile, cmd_genmap
MKMAP | makes the header for GENMAP | drivers/accessibility/speakup/Makefile, cmd_mkmap
MKREG | makes a table of registers | drivers/gpu/drm/radeon/Makefile, cmd_mkregtable
"""
"""A tag, its meaning and its source; then its page."""


def _tags() -> Iterator[Tag]:
    for row in _ROWS.removesuffix("\n").replace("\n  ", "\0").split("\n"):
        head, *page = row.split("\0")
        name, meaning, source = head.split(" | ")
        yield Tag(name, meaning, " ".join(page), source)


TAGS = {tag.name: tag for tag in _tags()}
"""Every tag that kinspect knows, by name."""
MARKS = {"M": "for modules", "U": "for programs on the target", "C": "and validates it"}
"""What stands in brackets after a tag."""
