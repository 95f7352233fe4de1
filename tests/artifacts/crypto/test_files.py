"""Files of certificates that would take for ever."""

import time

import pytest

from kinspect.artifacts.crypto.x509 import certificates_in, certificates_of_file
from kinspect.errors import MalformedError

BEGIN, END = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "data", [BEGIN * 40_000, BEGIN + b"A" * (1 << 20), b"\x30\x82" * (1 << 19), (BEGIN + END) * 20_000]
)
def test_no_certificates_are_soon_refused(data: bytes) -> None:
    start = time.process_time()
    with pytest.raises(MalformedError):
        certificates_of_file(data, "a.pem")
    assert time.process_time() - start < 1


def test_false_starts_of_certificates_are_limited() -> None:
    start = time.process_time()
    data = b"\x30\x82\xff\xf0\x30\x82\xff\xf0\xa0\x03\x02\x01\x02" * 100_000
    assert not list(certificates_in(data, "Image"))
    assert time.process_time() - start < 3
