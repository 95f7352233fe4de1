"""Checks of the contents of a FIT image."""

from collections.abc import Iterator

from kinspect.artifacts.dtb.blob import LONGEST_SHOWN, Dtb
from kinspect.artifacts.dtb.fit import FitImage, configurations, default_configuration, fit_images
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.errors import UnsupportedError
from kinspect.views.dtb.fit import MOST_HASHED, MOST_TIMES, hash_of


def _is_whole(dtb: Dtb, image: FitImage) -> bool:
    """Whether all data of an image is in the file."""
    return image.external is None or image.external.start + image.external.size <= dtb.size


@check(Severity.ERROR)
def fit_data_lies_inside(dtb: Dtb) -> Iterator[Evidence]:
    """The data of every image lies inside the file.

    Data may follow the tree (`mkimage -E`), at data-offset from its end or at data-position. If data ends past the end
    of the file, U-Boot refuses the image, or loads whatever follows it in memory: the file was truncated. Copy or build
    it again.
    Source: U-Boot, doc/usage/fit/source_file_format.rst, "External data".
    """

    def found() -> Iterator[Evidence]:
        for image in fit_images(dtb):
            if image.external and not _is_whole(dtb, image):
                at = (dtb.place(image.node, image.external.name),)
                end = image.external.start + image.external.size
                yield Evidence("the image's data ends past the file", at, f"at most {dtb.size:,}", f"{end:,}")
            elif image.data is None and image.external is None:
                yield Evidence("the image has no data", (dtb.place(image.node),))

    yield from capped(found(), "images", dtb.at())


@check(Severity.ERROR)
def fit_hashes_match(dtb: Dtb) -> Iterator[Evidence | UnsupportedError]:
    """Every hash in a FIT image (crc32, md5, sha1, sha256, sha384, sha512) matches the data.

    U-Boot computes the hashes and refuses an image whose hash does not match (`Bad hash value`): its data was changed
    after the build. Run mkimage again, or copy the file again. Signatures and encrypted images are not checked.
    Source: U-Boot, boot/image-fit.c, fit_image_check_hash().
    """
    # Every byte is hashed a few times at most, however many hashes there are.
    hashed, most = 0, min(MOST_HASHED, MOST_TIMES * dtb.size)
    for image in fit_images(dtb):
        # Another check reports data that is cut. The hash of an encrypted image is over other bytes.
        if not _is_whole(dtb, image) or image.node.property("data-size-unciphered"):
            continue
        for node in image.hashes:
            value, algorithm = node.property("value"), node.property("algo")
            if value is None or algorithm is None or node.property("uboot-ignore"):
                continue
            hashed += len(image.data) if image.data is not None else image.external.size if image.external else 0
            if hashed > most:
                problem = "too much data to hash"
                yield UnsupportedError(problem, dtb.place(node), expected=f"at most {most:,} bytes")
                return
            name = algorithm.texts[0] if algorithm.texts else ""
            try:
                computed = hash_of(dtb, image, name)
            except UnsupportedError as error:
                yield error
                continue
            if computed != value.value:
                problem = f"the {name} does not match the image's data"
                stated = value.value[:64].hex()
                yield Evidence(problem, (dtb.place(node, "value"),), stated or "a hash", computed.hex())


@check(Severity.ERROR)
def fit_configurations_name_images(dtb: Dtb) -> Iterator[Evidence]:
    """The images that a configuration names exist, and so does the default configuration.

    U-Boot does not boot a configuration whose kernel or device tree it cannot find. Correct the name in the image
    source file, or add the image.
    Source: the Flat Image Tree specification, "'/configurations' node".
    """
    known = {image.node.name for image in fit_images(dtb)}
    every = list(configurations(dtb))

    def found() -> Iterator[Evidence]:
        default = default_configuration(dtb)
        if default is not None and default not in {configuration.node.name for configuration in every}:
            yield Evidence(f"the default configuration {default[:LONGEST_SHOWN]} does not exist", (dtb.at(),))
        for configuration in every:
            for name, image in configuration.images:
                if image not in known:
                    at = (dtb.place(configuration.node, name),)
                    yield Evidence(f"the image {image[:LONGEST_SHOWN]} does not exist", at)

    yield from capped(found(), "names", dtb.at())
