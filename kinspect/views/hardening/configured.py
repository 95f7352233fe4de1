"""What a .config says about the protections that show in compiled code.

Source: arch/arm64/Kconfig; arch/arm64/Makefile; arch/Kconfig; security/Kconfig.
"""

from typing import NamedTuple

from kinspect.artifacts.build.kernel_config import KernelConfig

OPTIONS = {
    "pac": ("ARM64_PTR_AUTH_KERNEL",),
    "scs": ("SHADOW_CALL_STACK",),
    "bti": ("ARM64_BTI_KERNEL",),
    "kcfi": ("CFI", "CFI_CLANG"),
    "canary": ("STACKPROTECTOR_STRONG", "STACKPROTECTOR"),
    "fortify": ("FORTIFY_SOURCE",),
    "usercopy": ("HARDENED_USERCOPY",),
    "relocatable": ("RELOCATABLE",),
    "kaslr": ("RANDOMIZE_BASE",),
    "wx": (),
}
"""The options for each protection; the first that is set is named. Without options, it is built in."""
_DYNAMIC = "UNWIND_PATCH_PAC_INTO_SCS"
"""The shadow call stack is patched into the code at boot, in place of signed return addresses."""


class Setting(NamedTuple):
    """An option, without CONFIG_, and its value in the .config: `y`, or `n` if it is not set; empty without a .config.

    `on` says whether the code should have the protection; None when the .config does not decide.
    """

    option: str
    value: str
    on: bool | None

    @property
    def text(self) -> str:
        """The option as the .config has it; empty without one."""
        if not self.value:
            return ""
        return f"CONFIG_{self.option}={self.value}" if self.value == "y" else f"CONFIG_{self.option} is not set"


def setting_of(config: KernelConfig | None, name: str) -> Setting:
    """The setting for a protection. Raises as `config.options` does."""
    names = OPTIONS[name]
    if config is None or not names:
        return Setting(names[-1] if names else "", "", None)
    option = next(filter(config.on, names), None)
    if name == "scs" and option and config.on(_DYNAMIC):
        return Setting(_DYNAMIC, "y", on=False)
    if name == "pac" and not option and config.on("ARM64_PTR_AUTH"):
        # Kernels of before 5.14 have no option of its own, and newer ones hide it where the compiler cannot sign.
        hidden = b"# CONFIG_ARM64_PTR_AUTH_KERNEL is not set" not in config.text
        return Setting("ARM64_PTR_AUTH", "y", None) if hidden else Setting(names[0], "n", on=False)
    return Setting(option or names[-1], "y" if option else "n", option is not None)
