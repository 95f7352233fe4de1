"""The forms that a kernel has in a file, one in the other: what boot loaders look at."""

from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.boot.efi import EfiProgram
from kinspect.artifacts.boot.image import Image
from kinspect.schemas.pe import EFI_APPLICATION, MACHINE_ARM64

# What is not in the file need not be imported.
if TYPE_CHECKING:
    from kinspect.artifacts.boot.fit import Fit
    from kinspect.artifacts.boot.uimage import Uimage

IMAGE, COMPRESSED, ZBOOT, UKI = "an Image", "a compressed file", "an EFI zboot image", "a UKI"
UIMAGE, FIT, ANDROID = "a uImage", "a FIT image", "an Android boot image"
_CLASSES = {"Compressed": COMPRESSED, "Zboot": ZBOOT, "Uki": UKI, "Uimage": UIMAGE, "Fit": FIT, "AndroidBoot": ANDROID}
_LEGACY = (b"\x02\x21\x4c\x18", "lz4 legacy")
_LINUX_MULTI = 4


class Form(NamedTuple):
    """One of them. `kind` is one of those above, or that of the artifact.

    `compression` is that of what is inside; `stated` is what the header of a uImage or FIT image names. `efi_problem`
    says why EFI firmware does not start it. `number` is the load address of a uImage, the version of an Android boot
    image; for an Image, its size if the header has no image_size.
    """

    kind: str
    compression: str = ""
    stated: str = ""
    right_arch: bool = True
    complete: bool = True
    efi_problem: str = "no EFI program"
    big_endian: bool = False
    number: int = 0


def forms_of(image: Image) -> tuple[Form, ...]:
    """The forms of a kernel, the outermost first, the Image last. Raises as its wrappings do."""
    return tuple(_form(one) for one in (*image.wrappings, image))


def _form(artifact: Artifact) -> Form:
    if isinstance(artifact, Image):
        header = artifact.header
        return Form(
            IMAGE,
            efi_problem=_efi_problem(artifact, header.efi),
            big_endian=header.big_endian,
            number=0 if header.image_size else artifact.size,
        )
    form = Form(_CLASSES.get(type(artifact).__name__, artifact.kind))
    if isinstance(artifact, EfiProgram):
        form = form._replace(efi_problem=_efi_problem(artifact))
    if form.kind in (COMPRESSED, ZBOOT):
        magic, name = _LEGACY
        found = name if artifact.source.head(len(magic)) == magic else artifact.layer.compression
        return form._replace(compression=found)
    if form.kind == ANDROID:
        return form._replace(number=getattr(artifact, "version", 0))
    return _with_header(form, artifact)


def _efi_problem(program: EfiProgram, marked: bool = True) -> str:
    """Why EFI firmware does not start a program; empty when it does."""
    if not program.pe_offset or not marked:
        return "no EFI program (CONFIG_EFI is off)"
    pe = program.readable_pe
    if pe is None:
        return "the PE header is broken"
    right = pe.coff.machine == MACHINE_ARM64 and pe.optional.subsys == EFI_APPLICATION
    return "" if right else "the PE header is not that of an EFI application for arm64"


def _with_header(form: Form, artifact: Artifact) -> Form:
    """The form of a uImage or FIT image, with what its header says; others as they are."""
    from kinspect.artifacts.boot.fit import Fit
    from kinspect.artifacts.boot.uimage import Uimage

    if isinstance(artifact, Uimage):
        return _of_uimage(form, artifact)
    return _of_fit(form, artifact) if isinstance(artifact, Fit) else form


def _of_uimage(form: Form, uimage: "Uimage") -> Form:
    from kinspect.schemas.uimage import ARM64

    header = uimage.header
    return form._replace(
        stated=uimage.compression or "unknown",
        right_arch=header.ih_arch == ARM64,
        complete=header.ih_type != _LINUX_MULTI,
        number=header.ih_load,
    )


def _of_fit(form: Form, fit: "Fit") -> Form:
    """Source: U-Boot, boot/image-fit.c, fit_image_load() and fit_image_check_arch()."""
    from kinspect.artifacts.boot.parts import KERNEL
    from kinspect.artifacts.dtb.fit import default_configuration, fit_images

    part = fit.part(KERNEL)
    node = next((one.node for one in fit_images(fit.tree) if part and one.node.name == part.title), None)
    texts = {}
    for name in ("arch", "compression"):
        found = node.property(name) if node else None
        texts[name] = found.texts[0] if found and found.texts else ""
    return form._replace(
        stated=texts["compression"] or "none",
        right_arch=texts["arch"] in ("arm64", ""),
        complete=default_configuration(fit.tree) is not None,
    )
