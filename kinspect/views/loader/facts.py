"""What `kinspect load` reports: a kernel, and its verdicts on modules."""

from collections.abc import Sequence
from typing import NamedTuple

from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.verdict import Verdict


class TrustedCertificate(NamedTuple):
    """A certificate that the kernel trusts: its subject and its serial number in hexadecimal."""

    subject: str
    serial: str


class LoadFacts(NamedTuple):
    """The verdicts of a kernel on modules, in the order in which they are loaded.

    `kernel` is its path. `modversions` says whether CRCs are compared, `enforced` whether modules must be signed: None
    when that is not known.
    """

    kernel: str
    vermagic: str
    modversions: bool
    enforced: bool | None
    locked_down: bool
    certificates: tuple[TrustedCertificate, ...]
    verdicts: tuple[Verdict, ...]


def load_facts(kernel: TargetKernel, verdicts: Sequence[Verdict]) -> LoadFacts:
    """The facts of a kernel and its verdicts. Raises as TargetKernel does."""
    trusted = (TrustedCertificate(found.subject_text, found.serial_text) for found in kernel.certificates)
    about = kernel.vermagic, kernel.modversions, kernel.enforced, kernel.locked_down
    return LoadFacts(kernel.kernel.path, *about, tuple(trusted), tuple(verdicts))
