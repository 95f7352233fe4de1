"""The examples in the help of each command: what it is for, and the command. Tests run them on samples/hello."""

EXAMPLES = {
    "check": (
        ("everything that `make O=out` left", "kinspect check out"),
        ("the same, with files that must be there", "kinspect check --require image,system.map out"),
        ("packages of one kernel, as if they were installed together", "kinspect check packages/*.deb"),
    ),
    "image": (
        ("the boot header of a kernel, compressed or not", "kinspect image Image.bz2"),
        ("the same as JSON, for a script", "kinspect image Image --json"),
        ("can it start at this address?", "kinspect image --at 0x80000000 Image"),
    ),
    "file": (
        ("what these files are", "kinspect file Image vmlinux dtb/hello.dtb"),
        ("one description, without the name", "kinspect file --brief Image"),
    ),
    "vmlinux": (
        ("segments, sections and tables", "kinspect vmlinux out/vmlinux"),
        ("the symbols that the kernel exports", "kinspect vmlinux out/vmlinux --table __ksymtab"),
        ("how the kernel's code is hardened", "kinspect vmlinux vmlinux --hardening"),
    ),
    "diff": (
        ("whether this Image was made from this vmlinux", "kinspect diff out/vmlinux out/arch/arm64/boot/Image"),
        ("where a changed Image differs, and why", "kinspect diff vmlinux Image.patched"),
    ),
    "size": (
        ("the sections, and whether they add up to the Image", "kinspect size vmlinux Image"),
        ("the largest functions", "kinspect size vmlinux --by symbol --section .text --top 10"),
        ("what grew since an older build", "kinspect size out/vmlinux --against vmlinux --by folder"),
    ),
    "symbols": (
        ("the symbols of a kernel, as nm lists them", "kinspect symbols vmlinux --format nm"),
        ("where an address is", "kinspect symbols vmlinux --at ffff800008010a38"),
    ),
    "elf": (
        ("a vmlinux for gdb and objdump from an Image", "kinspect elf Image.bz2 -o hello.elf"),
        ("the same, linked at another address", "kinspect elf Image -o hello.elf --base ffff800008000000"),
    ),
    "unpack": (
        ("the raw Image inside a compressed one", "kinspect unpack Image.bz2 -o Image.raw"),
        ("in a pipe", "kinspect unpack Image.bz2 -o - | sha256sum"),
    ),
    "config": (
        ("the .config that a kernel was built with", "kinspect config Image"),
        ("whether there is one: the exit status alone", "kinspect config -q Image"),
    ),
    "module": (
        ("what a module exports and needs", "kinspect module out/lib/hello_text.ko"),
        ("which module exports what it needs", "kinspect module --symvers out/Module.symvers out/lib/hello_text.ko"),
        ("exactly what modinfo prints", "kinspect module --modinfo out/lib/hello_text.ko"),
    ),
    "symvers": (
        ("the exports of a build", "kinspect symvers out/Module.symvers"),
        (
            "whether they are those of this kernel",
            "kinspect symvers out/Module.symvers --vmlinux out/arch/arm64/boot/Image",
        ),
    ),
    "modules": (
        ("installed modules and modules.dep", "kinspect modules modules/lib/modules/6.1.0-hello"),
        ("with the exports of the build", "kinspect modules modules --symvers modules/Module.symvers"),
    ),
    "depmod": (
        ("modules.dep and its siblings, beside the modules", "kinspect depmod modules/lib/modules/6.1.0-hello"),
        ("in another folder, as kmod 30 writes them", "kinspect depmod modules -o indexes --kmod 30"),
    ),
    "abi": (
        ("whether modules of one kernel load into the next", "kinspect abi abi/old abi/new"),
        ("without types", "kinspect abi modules/Module.symvers out/Module.symvers"),
    ),
    "types": (
        ("how many types a kernel has", "kinspect types abi/new/vmlinux"),
        ("the layout of a struct", "kinspect types abi/new/vmlinux gadget"),
    ),
    "dtb": (
        ("what a device tree contains", "kinspect dtb dtb/hello.dtb"),
        ("its source, as dtc prints it", "kinspect dtb --tree dtb/hello.dtb"),
        ("one node", "kinspect dtb --path /soc/uart dtb/hello.dtb"),
    ),
    "load": (
        (
            "whether a kernel loads a module",
            "kinspect load out/arch/arm64/boot/Image out/lib/hello_text.ko",
        ),
        (
            "all modules of a folder",
            "kinspect load out/arch/arm64/boot/Image modules/lib/modules/6.1.0-hello",
        ),
    ),
    "initramfs": (
        ("what is in an initramfs, and whether its modules are complete", "kinspect initramfs initrd.img"),
        (
            "whether a kernel would load its modules",
            "kinspect initramfs initrd.img --kernel out/arch/arm64/boot/Image",
        ),
        ("the names of the files", "kinspect initramfs --list initrd.img"),
    ),
    "log": (
        ("how a build ended, and where it failed", "kinspect log logs/failed.log"),
        ("while it runs, with its output", "cat logs/build.log | kinspect log - --through"),
        ("what a tag means", "kinspect log --explain MODPOST"),
    ),
    "trace": (
        ("an oops with its source lines", "kinspect trace vmlinux logs/oops.log"),
        ("a log from a pipe, line by line", "cat logs/oops.log | kinspect trace vmlinux -"),
        ("one address", "kinspect trace vmlinux --at ffff800008010a38"),
    ),
    "checks": (
        ("all checks", "kinspect checks"),
        ("one of them: what is wrong, why it matters, how to fix it", "kinspect checks image-fits-image-size"),
    ),
}
