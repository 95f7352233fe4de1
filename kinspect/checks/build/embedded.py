"""Check that a kernel carries its configuration."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import Location
from kinspect.views.kernel.config import ConfigFacts


@check(Severity.ERROR)
def config_is_embedded(facts: ConfigFacts) -> Iterator[Evidence]:
    """The kernel or the module configs.ko contains the .config that it was built with.

    Without it `kinspect config` has nothing to print, and the running kernel has no /proc/config.gz. Build with
    CONFIG_IKCONFIG=y; with =m, the .config is in kernel/kernel/configs.ko of the modules. Distributions ship it as
    config-RELEASE in the kernel's package.
    Source: init/Kconfig, IKCONFIG; kernel/configs.c.
    """
    if facts.text is None:
        message = (
            "no embedded .config: build with CONFIG_IKCONFIG=y, or take it from configs.ko of the modules "
            "or config-RELEASE of the package"
        )
        yield Evidence(message, (Location(facts.path),))
