"""Build logs in every form that people report, each named for its cause: the end, the target, the first message."""
# ruff: noqa: RUF001

from pathlib import Path

import pytest

from kinspect.inspection.log import log, log_of
from kinspect.views.buildlog.facts import BuildLogFacts, BuildOutcome

IMAGE, DONE, FAILED, CUT = BuildOutcome.IMAGE, BuildOutcome.DONE, BuildOutcome.FAILED, BuildOutcome.CUT
CASES = {
    "logs/bazel-kleaf.log": (FAILED, "drivers/char/lamp.o", "call to undeclared function 'lamp_li"),
    "logs/bazel-trim-symbol.log": (
        FAILED,
        "ERROR: /home/ci/ak/common/BUILD.bazel:70:22:",
        "Differences between ksymtab and symb",
    ),
    "logs/bc.log": (FAILED, "include/generated/timeconst.h", "bc: not found"),
    "logs/btf-glued.log": (FAILED, "vmlinux", "load BTF from vmlinux: Unknown error"),
    "logs/btf-killed-glued.log": (FAILED, "vmlinux", "2413 Killed                  LLVM_OB"),
    "logs/btf-typedef.log": (FAILED, "vmlinux", "Encountered error while encoding BTF"),
    "logs/buildroot.log": (FAILED, "arch/arm64/boot/dts/x/lamp.dtb", "syntax error"),
    "logs/canonical-certs.log": (FAILED, "certs/x509_certificate_list", "No rule to make target 'debian/canon"),
    "logs/clang-crash.log": (FAILED, "mm/slub.o", "clang frontend command failed with e"),
    "logs/clang-target.log": (FAILED, "arch/arm64/kernel/vdso32/note.o", "unable to create target: 'No availab"),
    "logs/clock-skew.log": (IMAGE, "", "File 'Makefile' has modification tim"),
    "logs/crlf.log": (IMAGE, "", "Found 2 section mismatch(es)."),
    "logs/de-latin1.log": (FAILED, "drivers/char/lamp.o", "nicht deklariert (erstmalige Verwend"),
    "logs/depmod-cycle.log": (FAILED, "depmod", "Cycle detected: lamp -> shade -> lam"),
    "logs/depmod-missing.log": (DONE, "", "'make modules_install' requires depm"),
    "logs/dkms-objtool.log": (DONE, "", "the compiler differs from the one us"),
    "logs/dkms-uname.log": (FAILED, "/var/lib/dkms/lamp/1.2/build/lamp.o", "asm/unaligned.h: No such file or dir"),
    "logs/dpkg.log": (FAILED, "drivers/char/lamp.o", "dpkg-buildpackage: error: debian/rul"),
    "logs/exec-format.log": (FAILED, "/tmp/lamp/lamp.o", "scripts/basic/fixdep: Exec format er"),
    "logs/flex.log": (FAILED, "scripts/kconfig/lexer.lex.c", "flex: not found"),
    "logs/genkernel.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared (first use in this fu"),
    "logs/github-actions.log": (FAILED, "vmlinux", "undefined symbol: lamp_light"),
    "logs/github-downloaded-job.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared"),
    "logs/gitlab-ts.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared (first use in this fu"),
    "logs/gitlab.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared (first use in this fu"),
    "logs/ice.log": (FAILED, "mm/slub.o", "Segmentation fault"),
    "logs/interrupt.log": (FAILED, "fs/namei.o", ""),
    "logs/jenkins.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared (first use in this fu"),
    "logs/kasan-stack.log": (FAILED, "lib/test_kasan.o", "the frame size of 2064 bytes is larg"),
    "logs/kernel-3x-good.log": (IMAGE, "", "Found 2 section mismatch(es)."),
    "logs/ld-undefined.log": (FAILED, "vmlinux", "undefined reference to `lamp_light'"),
    "logs/make-de.log": (FAILED, "drivers/char/lamp.o", "nicht deklariert (erstmalige Verwend"),
    "logs/make-es-btf.log": (FAILED, "vmlinux.h", "failed to find '.BTF' ELF section in"),
    "logs/make-fr.log": (FAILED, "drivers/char/lamp.o", "« lampe » non déclaré (première util"),
    "logs/make-ja.log": (FAILED, "/home/hana/lamp/Module.symvers", '"__lamp_divide" [/home/hana/lamp/lam'),
    "logs/make-zh.log": (FAILED, "drivers/char/lamp.o", "‘lamp_deng’未声明(在此函数内第一次使用)"),
    "logs/makepkg.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared (first use in this fu"),
    "logs/modpost-old-symvers.log": (DONE, "", "Symbol version dump /usr/src/linux-h"),
    "logs/modpost-warn-missing.log": (DONE, "", 'Symbol version dump "Module.symvers"'),
    "logs/nix-good.log": (IMAGE, "", ""),
    "logs/nix.log": (FAILED, "drivers/char/lamp.o", "'lamp_light' undeclared (first use i"),
    "logs/no-cross-kconfig.log": (FAILED, "defconfig", "C compiler 'aarch64-linux-gnu-gcc' n"),
    "logs/no-cross.log": (FAILED, "syncconfig", "aarch64-linux-gnu-gcc: not found"),
    "logs/no-space.log": (FAILED, "drivers/gpu/drm/amd/amdgpu/gfx.o", "error writing to /tmp/ccAbCdEf.s: No"),
    "logs/not-clean.log": (FAILED, "outputmakefile", "The source tree is not clean, please"),
    "logs/oldmake-lto-killed.log": (FAILED, "vmlinux", "4242 Killed                  ${LD} $"),
    "logs/oom-gcc13.log": (FAILED, "/root/drv/v4l/a-p2m.o", "Killed signal terminated program cc1"),
    "logs/oot-613.log": (FAILED, "Module.symvers", '"lamp_light" [lamp.ko] undefined!'),
    "logs/oot-no-makefile.log": (
        FAILED,
        "/lib/modules/6.1.0/build: No such file or dir",
        "/lib/modules/6.1.0/build: No such fi",
    ),
    "logs/oot-scripts-missing.log": (FAILED, "/home/u/lamp/lamp.o", "scripts/basic/fixdep: not found"),
    "logs/openssl-h.log": (FAILED, "scripts/sign-file", "openssl/opensslv.h: No such file or"),
    "logs/openwrt-cn.log": (FAILED, "world", "ERROR: target/linux failed to build."),
    "logs/openwrt-vs.log": (FAILED, "syncconfig", "Error in reading or end of file."),
    "logs/pahole-die.log": (FAILED, "vmlinux", ".tmp_vmlinux.btf: Invalid argument"),
    "logs/quoted.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared (first use in this fu"),
    "logs/real/cut-de_DE.log": (CUT, "", ""),
    "logs/real/cut-en.log": (CUT, "", ""),
    "logs/real/cut-fr_FR.log": (CUT, "", ""),
    "logs/real/cut-zh_CN.log": (CUT, "", ""),
    "logs/real/make-de_DE.log": (FAILED, "drivers", "x"),
    "logs/real/make-fr_FR.log": (FAILED, "drivers", "x"),
    "logs/real/make-zh_CN.log": (FAILED, "drivers", "x"),
    "logs/recordmcount-exec.log": (FAILED, "/tmp/lamp/lamp.o", "./scripts/recordmcount: Syntax error"),
    "logs/rust-rlibs.log": (FAILED, "rust/core.o", "couldn't read `/usr/lib/rustlib/src/"),
    "logs/rust.log": (FAILED, "rust/kernel.o", "cannot find value `lampe` in this sc"),
    "logs/sign-fail.log": (
        FAILED,
        "/tmp/i/lib/modules/6.1.0/kernel/drivers/char/",
        "./certs/signing_key.pem: No such fil",
    ),
    "logs/sparse.log": (DONE, "", "incorrect type in argument 1 (differ"),
    "logs/spdx-stop.log": (
        FAILED,
        "Cannot find a vmlinux for VMLINUX_BTF at any",
        "Cannot find a vmlinux for VMLINUX_BT",
    ),
    "logs/tail-cut.log": (FAILED, "drivers", ""),
    "logs/typescript.log": (IMAGE, "", ""),
    "logs/utf16-fail.log": (FAILED, "scripts/kconfig/lexer.lex.c", "flex: not found"),
    "logs/utf16.log": (IMAGE, "", "Found 2 section mismatch(es)."),
    "logs/yocto-bars.log": (FAILED, "drivers/char/lamp.o", "implicit declaration of function 'la"),
    "logs/yocto-plain-good.log": (IMAGE, "", ""),
    "logs2/armbian.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared"),
    "logs2/ash-notfound.log": (FAILED, "arch/arm64/boot/Image.lz4", "lz4c: not found"),
    "logs2/azure.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared"),
    "logs2/backtick.log": (FAILED, "init/built-in.o", "No rule to make target `init/lamp.o'"),
    "logs2/btfids-unresolved.log": (FAILED, "vmlinux", "unresolved symbol vfs_lamp"),
    "logs2/btfids-warn-good.log": (IMAGE, "", "multiple IDs found for 'inode': 120,"),
    "logs2/cannot-open.log": (FAILED, "drivers/char/lamp.ko", "cannot open drivers/char/lamp.mod.o:"),
    "logs2/cc-too-old.log": (FAILED, "syncconfig", "Sorry, this C compiler is not suppor"),
    "logs2/compose.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared"),
    "logs2/defconfig-missing.log": (FAILED, "lamp_defconfig", "Can't find default configuration \"ar"),
    "logs2/dtbs-check.log": (DONE, "", "soc@0: lamp@1: 'reg' is a required p"),
    "logs2/dtc-noinclude.log": (FAILED, "arch/arm64/boot/dts/x/lamp.dtb", "dt-bindings/clock/lamp.h: No such fi"),
    "logs2/dtc-ref.log": (FAILED, "arch/arm64/boot/dts/x/lamp.dtb", "(phandle_references): /soc/lamp@1: R"),
    "logs2/env-python.log": (FAILED, "lib/lamp.c", "'python': No such file or directory"),
    "logs2/gcc-plugin.log": (FAILED, "kernel/bounds.s", "incompatible gcc/plugin versions"),
    "logs2/gendwarfksyms.log": (FAILED, "kernel/lamp.o", "gendwarfksyms: process_die: unknown"),
    "logs2/ignored.log": (IMAGE, "", ""),
    "logs2/inline-asm.log": (FAILED, "arch/arm64/kernel/lamp.o", "instruction requires: lse"),
    "logs2/ld-old-function.log": (FAILED, "vmlinux", "undefined reference to `lamp_light'"),
    "logs2/ld-real-g.log": (FAILED, "vmlinux", "undefined reference to `lamp_var'"),
    "logs2/ld-real-nog.log": (FAILED, "vmlinux", "undefined reference to `lamp_var'"),
    "logs2/ld-real.log": (FAILED, "vmlinux", "undefined reference to `lamp_light'"),
    "logs2/lld-note.log": (FAILED, "vmlinux", "section .text at 0xFFFF800080010000"),
    "logs2/make-k.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared (first use in this fu"),
    "logs2/make-no-such.log": (FAILED, "scripts/kconfig/lexer.lex.c", "flex: No such file or directory"),
    "logs2/modinst-missing.log": (
        FAILED,
        "/lib/modules/6.1.0/kernel/drivers/char/lamp.k",
        "cannot stat 'drivers/char/lamp.ko':",
    ),
    "logs2/modinst-nospace.log": (FAILED, "/i/lib/modules/6.1.0/kernel/x.ko", "error writing '/i/lib/modules/6.1.0/"),
    "logs2/modinst-perm.log": (
        FAILED,
        "/lib/modules/6.1.0/kernel/drivers/char/lamp.k",
        "cannot create regular file '/lib/mod",
    ),
    "logs2/ncurses.log": (FAILED, "scripts/kconfig/mconf-bin", "Unable to find the ncurses package."),
    "logs2/no-config.log": (FAILED, ".config", 'Configuration file ".config" not fou'),
    "logs2/perl-python.log": (FAILED, "lib/lamp.c", "ModuleNotFoundError: No module named"),
    "logs2/rust-missing.log": (FAILED, "rustavailable", "Rust compiler 'rustc' could not be f"),
    "logs2/section-mismatch.log": (IMAGE, "", "vmlinux.o(.text+0x1234): Section mis"),
    "logs2/sh-nonumber.log": (FAILED, "include/generated/timeconst.h", "bc: command not found"),
    "logs2/std-input.log": (FAILED, "arch/arm64/kernel/lamp.o", "selected processor does not support"),
    "logs2/success-with-werror-text.log": (IMAGE, "", "externally-managed-environment"),
    "logs2/symvers-extra.log": (FAILED, "/home/u/b/Module.symvers", "GPL-incompatible module lampx.ko use"),
    "logs2/thinlto-cache.log": (FAILED, "vmlinux.o", "out of memory"),
    "logs2/tmp-s.log": (FAILED, "arch/arm64/kernel/lamp.o", "selected processor does not support"),
    "logs2/travis.log": (FAILED, "drivers/char/lamp.o", "'x' undeclared"),
    "logs2/unknown-arg.log": (FAILED, "scripts/mod/empty.o", "unrecognized command-line option '-m"),
    "logs2/version-failed.log": (DONE, "", 'EXPORT symbol "lamp_light" [vmlinux]'),
    "logs2/yylloc.log": (FAILED, "scripts/dtc/dtc", "multiple definition of `yylloc'; scr"),
}
"""Where the build failed there is the first error, elsewhere the first warning."""


@pytest.mark.parametrize("name", CASES)
def test_a_log_ends_as_it_did_and_names_the_cause(cases: Path, name: str) -> None:
    outcome, target, cause = CASES[name]
    report = log(cases / "modules" / name)
    (facts,) = report.facts_of(BuildLogFacts)
    assert facts.outcome == outcome
    assert report.ok == (outcome in (IMAGE, DONE))
    assert (facts.failures or ("",))[0].startswith(target)
    assert bool(target) == (outcome == FAILED)
    severity = "error" if outcome == FAILED else "warning"
    assert cause in next((message.text for message in facts.messages if message.severity == severity), "")


@pytest.mark.parametrize("name", CASES)
def test_the_same_is_read_from_any_pieces(cases: Path, name: str) -> None:
    data = (cases / "modules" / name).read_bytes()
    whole = log_of([data], "log").facts
    for size in (1, 7, 100):
        assert log_of([data[at : at + size] for at in range(0, len(data), size)], "log").facts == whole


def test_every_log_is_named(cases: Path) -> None:
    folder = cases / "modules"
    assert set(CASES) == {str(path.relative_to(folder)) for path in folder.glob("logs*/**/*.log")}
