"""The signatures of a kernel and of what is around it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kinspect.artifacts.boot.efi import EfiProgram
from kinspect.errors import MalformedError
from kinspect.inspection.report import Path, Report, run_checks
from kinspect.inspection.signing.fit import is_signed_fit

if TYPE_CHECKING:
    from kinspect.artifacts.artifact import Artifact
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.crypto.x509 import Certificate
    from kinspect.views.boot.coverage import CoverageFacts
    from kinspect.views.signing.authenticode import ImageSignatures
    from kinspect.views.signing.fit import FitSignatures


def signatures_report(
    image: "Image", certificates: Sequence[Path]
) -> "Report[ImageSignatures | FitSignatures | CoverageFacts]":
    """The signatures of a kernel and of each container around it, the outermost first, and the findings on them.

    With certificates, the outermost that can be signed must verify against one of them: it is what a boot loader
    verifies. A FIT image that is not signed leaves that to the EFI program in it.
    """
    layers = (*image.wrappings, image)
    trusted = _trusted(certificates)
    report: Report[ImageSignatures | FitSignatures] = Report()
    for fit in layers:
        report += _of_fit(fit, trusted)
    programs = [one for one in layers if isinstance(one, EfiProgram)]
    needed = bool(trusted) and not report.facts
    if needed or any(program.signature == "present" for program in programs):
        for program in programs:
            layer = "arm64 Image" if program is image else program.layer.title
            report += _of_program(program, layer, trusted, program is programs[0], needed)
    return report + _covered(layers[0], trusted) if trusted else report


def _covered(artifact: "Artifact", trusted: "Sequence[Certificate]") -> "Report[CoverageFacts]":
    """What the signatures and hashes of the outermost container cover."""
    from kinspect.artifacts.boot.parts import BootContainer
    from kinspect.views.boot.coverage import readable_coverage

    facts = readable_coverage(artifact, trusted) if isinstance(artifact, BootContainer) else None
    return Report((facts,)) if facts else Report()


def fit_signatures_report(container: "Artifact", certificates: Sequence[Path] = ()) -> "Report[FitSignatures]":
    """The signatures of a FIT image and the findings on them; nothing for another container."""
    return _of_fit(container, _trusted(certificates))


def _of_fit(artifact: "Artifact", trusted: "Sequence[Certificate]") -> "Report[FitSignatures]":
    if not is_signed_fit(artifact):
        return Report()
    from kinspect.artifacts.dtb.blob import Dtb
    from kinspect.views.signing.fit import fit_signatures

    tree = Dtb(artifact.source)
    facts = fit_signatures(tree, trusted)
    topics = ("signing.fit", *(("signing.fit_trust",) if trusted else ()))
    return Report((facts,)) + run_checks((facts,), *topics)


def _of_program(
    program: EfiProgram, layer: str, trusted: "Sequence[Certificate]", outermost: bool, needed: bool
) -> "Report[ImageSignatures]":
    """The signatures of one EFI program. Those of the outermost one must be trusted, if that is `needed`."""
    from kinspect.views.signing.authenticode import ImageSignatures, image_signatures

    try:
        facts = image_signatures(program, trusted) or ImageSignatures(program.path, ())
    except MalformedError:
        return run_checks((program,), "boot.signature")  # the checks of the header say why
    facts = facts._replace(layer=layer, outermost=outermost)
    subjects = (program, facts) if needed and outermost else (program,)
    return Report((facts,)) + run_checks(subjects, "boot.signature")


def _trusted(certificates: Sequence[Path]) -> "list[Certificate]":
    trusted: list[Certificate] = []
    if not certificates:
        return trusted
    from kinspect.artifacts.crypto.x509 import certificates_of_file
    from kinspect.artifacts.kinds import refuse_other_kinds
    from kinspect.source import Source

    for path in certificates:
        source = Source(path)
        refuse_other_kinds(source, "a certificate, PEM or DER")
        trusted += certificates_of_file(source.read(0, min(source.size, 1 << 20)), source.path)
    return trusted
