import contextlib
import dataclasses
import datetime
import errno
import hashlib
import os
import re
import ssl
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from voicemux.errors import SecurityError
from voicemux.security import files
from voicemux.security.files import OPEN_TO_READ
from voicemux.security.identity import fingerprint_of, load_identity, verify

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
DATA = b"what is signed"
PRIVATE_KEY = re.compile(rb"-----BEGIN (.*PRIVATE KEY)-----.*-----END \1-----\n", re.DOTALL)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return load_identity(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    return load_identity(tmp_path_factory.mktemp("theirs"))


def certificate_of(key) -> bytes:
    """Of any key, in DER."""
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(datetime.datetime(2020, 1, 1)).not_valid_after(datetime.datetime(2030, 1, 1))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(DER)


def pem_of(key, **how) -> bytes:
    how = {"format": serialization.PrivateFormat.PKCS8, "encryption_algorithm": serialization.NoEncryption(), **how}
    return key.private_bytes(PEM, **how)


def pem_of_certificate(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(PEM)


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


a_mistake = st.tuples(st.integers(0, 9999), st.integers(1, 255))  # place, and the bits that are wrong there


def damaged(content: bytes, mistakes: list[tuple[int, int]]) -> bytes:
    wrong = bytearray(content)
    for place, bits in mistakes:
        wrong[place % len(wrong)] ^= bits
    return bytes(wrong)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def refusal(folder: Path) -> str:
    """The one line in which the identity in that folder is refused."""
    with pytest.raises(SecurityError) as refused:
        load_identity(folder)
    line = str(refused.value)
    assert line == line.splitlines()[0]
    return line


def write_secret(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)


# --- made, and found again


def test_an_identity_is_made_at_first_and_then_stays_the_same(tmp_path):
    first = load_identity(tmp_path)
    content = first.path.read_bytes()
    second = load_identity(tmp_path)
    assert (second.certificate, second.fingerprint, second.path) == (first.certificate, first.fingerprint, first.path)
    assert verify(first.certificate, second.sign(DATA), DATA)
    assert first.path.read_bytes() == content


def test_every_folder_has_its_own(ours, theirs):
    assert ours.fingerprint != theirs.fingerprint


def test_the_file_holds_the_key_and_then_the_certificate(ours):
    assert ours.path.name == "identity.pem"
    lines = ours.path.read_text().splitlines()
    assert [line for line in lines if line.startswith("-----BEGIN")] == [
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----",
    ]


def test_the_fingerprint_is_the_hash_of_the_certificate(ours):
    assert ours.fingerprint == fingerprint_of(ours.certificate) == hashlib.sha256(ours.certificate).hexdigest()


def test_the_certificate_says_nothing_about_its_owner_and_never_ends(ours):
    certificate = x509.load_der_x509_certificate(ours.certificate)
    assert certificate.subject.rfc4514_string() == certificate.issuer.rfc4514_string() == "CN=voicemux"
    assert certificate.not_valid_before_utc.date() == datetime.date(2000, 1, 1)
    assert certificate.not_valid_after_utc.date() == datetime.date(9999, 12, 31)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    certificate.verify_directly_issued_by(certificate)


def test_the_key_is_not_shown_with_the_rest(ours):
    assert "_key" not in repr(ours)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ours.certificate = b""


def test_tls_takes_the_file_and_shows_the_certificate_to_the_other_side(ours):
    server_context, client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server_context.load_cert_chain(ours.path)
    client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(down, up)
    server = server_context.wrap_bio(up, down, server_side=True)
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert client.getpeercert(binary_form=True) == ours.certificate


# --- nobody else's business


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_folders_and_file_are_the_owners_only_whatever_the_umask(tmp_path, mask):
    with umask(mask):
        path = load_identity(tmp_path / "share" / "voicemux").path
    assert [mode_of(each) for each in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]


def test_a_folder_that_exists_stays_as_it_is(tmp_path):
    tmp_path.chmod(0o755)
    load_identity(tmp_path)
    assert mode_of(tmp_path) == 0o755


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_key_that_others_can_read_or_change_is_refused(tmp_path, mode):
    path = load_identity(tmp_path).path
    path.chmod(mode)
    act = "read" if mode & OPEN_TO_READ else "changed"
    assert (
        refusal(tmp_path)
        == f"{path} can be {act} by others (mode 0{mode:o}): chmod 600 it, if nobody else has seen it"
    )
    path.chmod(0o600)
    assert load_identity(tmp_path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_key_that_is_the_owners_only_is_taken(tmp_path, mode):
    load_identity(tmp_path).path.chmod(mode)
    assert load_identity(tmp_path)


# --- two at once

START_TOGETHER = """
import sys, time
from pathlib import Path
from voicemux.security.identity import load_identity
folder = Path(sys.argv[1])
print(flush=True)
sys.stdin.readline()
print(load_identity(folder).fingerprint)
"""


def test_programs_that_start_at_once_have_the_same_identity(tmp_path):
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", START_TOGETHER, tmp_path / "new"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for program in programs:
        assert program.stdin
        assert program.stdout
        program.stdout.readline()
    for program in programs:
        assert program.stdin
        program.stdin.write("\n")
        program.stdin.flush()
    fingerprints = {program.communicate()[0].strip() for program in programs}
    assert fingerprints == {load_identity(tmp_path / "new").fingerprint}
    assert os.listdir(tmp_path / "new") == ["identity.pem"]


def test_who_finds_that_another_was_faster_takes_its_identity(tmp_path, monkeypatch):
    write_first, faster = files.write_first, []

    def write_too_late(path: Path, content: bytes) -> None:
        monkeypatch.setattr(files, "write_first", write_first)
        faster.append(load_identity(tmp_path))
        write_first(path, content)

    monkeypatch.setattr(files, "write_first", write_too_late)
    assert load_identity(tmp_path).certificate == faster[0].certificate
    assert os.listdir(tmp_path) == ["identity.pem"]


def no_links(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("lack", ["refused", "missing"])
def test_without_hard_links_an_identity_is_made_too(tmp_path, monkeypatch, lack):
    if lack == "refused":
        monkeypatch.setattr(os, "link", no_links)
    else:
        monkeypatch.delattr(os, "link")
    made = load_identity(tmp_path)
    assert load_identity(tmp_path).certificate == made.certificate
    assert mode_of(made.path) == 0o600
    assert os.listdir(tmp_path) == ["identity.pem"]


# --- damaged


def key_in(pem: bytes) -> bytes:
    found = PRIVATE_KEY.search(pem)
    assert found
    return found[0]


def mix(ours: bytes, theirs: bytes) -> bytes:
    """The key of one and the certificate of the other."""
    return key_in(ours) + PRIVATE_KEY.sub(b"", theirs)


KEY = "it holds no private key that can be read"
KIND = "its private key is not of the kind P-256"
CERTIFICATE = "it holds no certificate that can be read"
TOGETHER = "its key and its certificate do not belong together"
P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
K256 = ec.generate_private_key(ec.SECP256K1())
RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
OTHER_KINDS = [RSA, P384, K256, ED25519]
LOCKED = pem_of(P256, encryption_algorithm=serialization.BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda ours, theirs: b"", KEY),
        (lambda ours, theirs: bytes(100), KEY),
        (lambda ours, theirs: ours[:100], KEY),
        (lambda ours, theirs: ours.replace(b"\nM", b"\n!"), KEY),
        (lambda ours, theirs: PRIVATE_KEY.sub(b"", ours), KEY),
        (lambda ours, theirs: LOCKED + pem_of_certificate(certificate_of(P256)), KEY),
        (lambda ours, theirs: ours[:-100], CERTIFICATE),
        (lambda ours, theirs: key_in(ours), CERTIFICATE),
        (mix, TOGETHER),
        (lambda ours, theirs: key_in(ours) + pem_of_certificate(certificate_of(RSA)), TOGETHER),
        *(
            (lambda _, __, key=key: pem_of(key) + pem_of_certificate(certificate_of(key)), KIND)
            for key in OTHER_KINDS
        ),
    ],
)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path, ours, theirs, damage, what):
    path = tmp_path / "identity.pem"
    content = damage(ours.path.read_bytes(), theirs.path.read_bytes())
    write_secret(path, content)
    line = refusal(tmp_path)
    assert line.startswith(f"{path} is damaged: {what} (")
    assert path.read_bytes() == content


@given(st.lists(a_mistake, min_size=1, max_size=5))
def test_no_damage_is_anything_but_an_identity_or_a_refusal(tmp_path_factory, ours, mistakes):
    folder = tmp_path_factory.mktemp("damaged")
    write_secret(folder / "identity.pem", damaged(ours.path.read_bytes(), mistakes))
    try:
        found = load_identity(folder)
    except SecurityError:
        return
    assert verify(found.certificate, found.sign(DATA), DATA)


def test_a_key_that_somebody_made_with_openssl_is_taken(tmp_path):
    """In another form, and behind the certificate."""
    certificate = certificate_of(P256)
    key = pem_of(P256, format=serialization.PrivateFormat.TraditionalOpenSSL)
    write_secret(tmp_path / "identity.pem", pem_of_certificate(certificate) + key)
    found = load_identity(tmp_path)
    assert found.certificate == certificate
    assert verify(certificate, found.sign(DATA), DATA)


# --- folders and files that cannot be used


def test_where_no_folder_can_be_made_that_is_said(tmp_path):
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / "voicemux" / "keys").startswith(
        f"cannot read {tmp_path}/file/voicemux/keys/identity.pem: not a directory ("
    )


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "identity.pem").mkdir()
    assert refusal(tmp_path).endswith("identity.pem is not a file that can be read: it is a folder")


def test_a_link_to_nowhere_is_refused(tmp_path):
    (tmp_path / "identity.pem").symlink_to(tmp_path / "nowhere")
    assert "is it a link to nowhere?" in refusal(tmp_path)
    assert os.listdir(tmp_path) == ["identity.pem"]


@pytest.mark.parametrize("failing", ["fsync", "mkdir"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_nothing_is_said_to_and_leaves_nothing_behind(tmp_path, monkeypatch, failing, number):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    folder = tmp_path / "new"
    if failing == "fsync":
        folder.mkdir()
    monkeypatch.setattr(os, failing, fail)
    action = f"make the folder {folder}" if failing == "mkdir" else f"write {folder}/identity.pem"
    assert refusal(folder).startswith(f"cannot {action}: {os.strerror(number).lower()} (")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.rglob("*")] == ([] if failing == "mkdir" else ["new"])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may do everything")
def test_without_permission_neither_is_read_nor_written(tmp_path):
    path = load_identity(tmp_path / "old").path
    path.chmod(0o000)
    assert refusal(tmp_path / "old").startswith(f"cannot read {path}: permission denied (")
    tmp_path.chmod(0o500)
    assert refusal(tmp_path / "new").startswith(f"cannot make the folder {tmp_path}/new: permission denied (")
    tmp_path.chmod(0o700)


# --- signatures


@given(st.binary(max_size=200))
def test_what_was_signed_is_verified_and_nothing_else(ours, theirs, data):
    signature = ours.sign(data)
    assert verify(ours.certificate, signature, data)
    assert not verify(theirs.certificate, signature, data)
    assert not verify(ours.certificate, signature, data + b"\0")
    assert not verify(ours.certificate, signature, b"\0" + data)
    assert not verify(ours.certificate, theirs.sign(data), data)


@given(a_mistake)
def test_a_signature_in_which_bits_are_wrong_is_none(ours, mistake):
    assert not verify(ours.certificate, damaged(ours.sign(DATA), [mistake]), DATA)


@pytest.mark.parametrize(
    "signature", [b"", b"\0", bytes(64), bytes(72), bytes.fromhex("3006020100020100"), bytes(9999)]
)
def test_what_is_no_signature_at_all_is_none(ours, signature):
    assert not verify(ours.certificate, signature, DATA)


def test_a_signature_over_another_hash_is_none():
    other = P256.sign(DATA, ec.ECDSA(hashes.SHA384()))
    assert verify(certificate_of(P256), P256.sign(DATA, ec.ECDSA(hashes.SHA256())), DATA)
    assert not verify(certificate_of(P256), other, DATA)


@pytest.mark.parametrize("key", [P384, K256], ids=["P-384", "secp256k1"])
def test_a_good_signature_by_a_key_on_another_curve_is_none(key):
    assert not verify(certificate_of(key), key.sign(DATA, ec.ECDSA(hashes.SHA256())), DATA)


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["RSA", "Ed25519"])
def test_keys_of_other_kinds_have_signed_nothing(key, ours):
    assert not verify(certificate_of(key), ours.sign(DATA), DATA)


@given(st.binary(max_size=400))
def test_what_is_no_certificate_has_signed_nothing(ours, certificate):
    assert not verify(certificate, ours.sign(DATA), DATA)


@given(st.lists(a_mistake, min_size=1, max_size=5))
def test_a_certificate_in_which_bytes_are_wrong_is_judged_without_a_crash_or_a_warning(ours, mistakes):
    assert verify(damaged(ours.certificate, mistakes), ours.sign(DATA), DATA) in (True, False)


VERSION = b"\xa0\x03\x02\x01\x02"  # 3, as it is written in a certificate
P256_OID = bytes.fromhex("06082a8648ce3d030107")


def point_of(certificate: bytes) -> bytes:
    place = certificate.index(b"\x03\x42\x00\x04") + 4
    return certificate[place : place + 64]


def change(certificate: bytes, old: bytes, new: bytes) -> bytes:
    assert certificate.count(old) == 1
    return certificate.replace(old, new)


@pytest.mark.parametrize(
    "certificate",
    [
        lambda good: good + b"\0",
        lambda good: good[:-1],
        lambda good: pem_of_certificate(good),
        lambda good: change(good, VERSION, VERSION[:-1] + b"\x01"),
        lambda good: change(good, VERSION, VERSION[:-1] + b"\x09"),
        lambda good: change(good, P256_OID, P256_OID[:-1] + b"\x77"),
        lambda good: change(good, b"\x03\x42\x00\x04", b"\x03\x42\x00\x05"),
        lambda good: change(good, point_of(good), bytes(64)),
    ],
    ids=["longer", "shorter", "PEM", "version 2", "version 10", "no known curve", "no point", "not on the curve"],
)
def test_a_certificate_that_is_not_quite_one_has_signed_nothing(ours, certificate):
    assert not verify(certificate(ours.certificate), ours.sign(DATA), DATA)


def test_an_odd_serial_number_is_not_told_to_the_terminal(ours):
    place = ours.certificate.index(VERSION) + len(VERSION) + 2
    odd = ours.certificate[:place] + b"\x80" + ours.certificate[place + 1 :]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        verify(odd, ours.sign(DATA), DATA)  # later releases of cryptography may refuse it
    assert told == []


@pytest.mark.parametrize("nothing", [None, "", 7])
def test_what_is_not_even_bytes_has_signed_nothing(ours, nothing):
    assert not verify(nothing, ours.sign(DATA), DATA)
    assert not verify(ours.certificate, nothing, DATA)
