"""What encryption adds to client.py: section 12 of ../protocol.md, methods OPEN and KNOWN. Not here: codes (SPAKE2).

The standard library has TLS, but no P-256 signatures: the `openssl` command makes the key, makes and checks those.
"""

import asyncio
import contextlib
import hashlib
import os
import ssl
import subprocess
import tempfile

from wire import Code, End, Tag, must, note

OPEN, KNOWN, CODE = range(3)  # the methods of a CLAIM
P256 = b"\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"  # in base64, how the public half of every P-256 key begins


def openssl(*arguments, data=b""):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


def digest(label, *parts):
    return hashlib.sha256(b"voicemux/1 " + label + b"\0" + b"".join(parts)).digest()


class Identity:
    """Our key and certificate, the same whether we dial or listen; and whom we know."""

    def __init__(self, file, key_of_peer):
        if not os.path.exists(file):
            curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
            openssl(
                "req",
                "-x509",
                *curve,
                "-nodes",
                "-days",
                "36500",
                "-subj",
                "/CN=voicemux",
                "-keyout",
                file,
                "-out",
                file,
            )
        self.file, self.certificate = file, openssl("x509", "-in", file, "-outform", "DER")
        self.fingerprint = hashlib.sha256(self.certificate).digest()
        self.key_of_peer = key_of_peer and bytes.fromhex(key_of_peer.replace(":", ""))

    def sign(self, data):
        return openssl("dgst", "-sha256", "-sign", self.file, data=data)

    def context(self, dialler):
        """TLS 1.3, in which nobody looks at names, dates or authorities."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if dialler else ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if not dialler:
            context.load_cert_chain(self.file)
            context.num_tickets = 0
        return context


def signed(certificate, signature, data):
    """Whether it is an ECDSA signature by the key of a certificate, which must be P-256."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            key = openssl("x509", "-inform", "DER", "-noout", "-pubkey", data=certificate)
            for name, content in (("key", key), ("signature", signature)):
                with open(f"{folder}/{name}", "wb") as file:
                    file.write(content)
            openssl("dgst", "-sha256", "-verify", f"{folder}/key", "-signature", f"{folder}/signature", data=data)
        except subprocess.CalledProcessError:
            return False
        return P256 in key


class Tls:
    """TLS over a stream, with the methods of one. asyncio's own cannot end one direction, as a goodbye does [10]."""

    def __init__(self, reader, writer, identity, dialler, begin=b""):
        self.reader, self.writer, self.transport = reader, writer, writer.transport
        self.inside, self.outside, self.decrypted = ssl.MemoryBIO(), ssl.MemoryBIO(), bytearray()
        self.inside.write(begin)
        self.identity, self.tls = (
            identity,
            identity.context(dialler).wrap_bio(self.inside, self.outside, server_side=not dialler),
        )
        self.drain, self.ended = writer.drain, False

    def flush(self):
        if self.outside.pending and not self.ended:
            self.writer.write(self.outside.read())

    async def work(self, step, *arguments):
        """A step of TLS, with as many bytes from the other side as it needs."""
        while True:
            try:
                return step(*arguments)
            except ssl.SSLWantReadError:
                self.flush()
                data = await self.reader.read(65_536)
                self.inside.write(data) if data else self.inside.write_eof()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            finally:
                self.flush()

    async def handshake(self):
        """A dialler looks at the listener's key before it says anything. Returns that key's fingerprint."""
        try:
            await self.work(self.tls.do_handshake)
        except ssl.SSLError as error:
            raise ConnectionError(
                f"no TLS 1.3, perhaps a listener that takes plain calls only: {error.reason}"
            ) from None
        if self.tls.server_side:
            return self.identity.fingerprint
        listener = hashlib.sha256(self.tls.getpeercert(True)).digest()
        note(f"the key of the listener is {listener.hex()}")
        if self.identity.key_of_peer not in (None, listener):
            raise ConnectionError(
                "that is not the key that you know: somebody else, or a new one; ask, by another way"
            )
        return listener

    async def read(self, most):
        return await self.work(self.tls.read, most)

    async def readexactly(self, count):
        while len(self.decrypted) < count:
            data = await self.read(65_536)
            if not data:
                raise asyncio.IncompleteReadError(bytes(self.decrypted), count)
            self.decrypted += data
        data = bytes(self.decrypted[:count])
        del self.decrypted[:count]
        return data

    def write(self, data):
        self.tls.write(data)
        self.flush()

    def write_eof(self):
        """`close_notify`, and the end of TCP's direction."""
        with contextlib.suppress(ssl.SSLError):  # it would wait for the peer's `close_notify`
            self.tls.unwrap()
        self.flush()
        self.ended = True
        self.writer.write_eof()


def transcript(listener, caller, method, nonce, answer):
    """Who is there, as each sees the other itself, and what was said; with two empty shares of a code."""
    return digest(b"transcript", listener, caller, bytes([method]), nonce, answer, b"\0\0")


def show_words(said):
    """If they are the same, nobody is in between. Here they are bytes; programs for people have the PGP word list."""
    note(f"compare by voice: {digest(b'words', said)[:4].hex()}")


async def claim(call, identity, listener):
    """A dialler's part."""
    method, nonce = (KNOWN if identity.key_of_peer else OPEN), os.urandom(32)
    call.send(Tag.CLAIM, bytes([method]) + digest(b"commitment", nonce) + b"\0" + identity.certificate)
    _, _, answer = await call.frame(Tag.CHALLENGE)
    said = transcript(listener, identity.fingerprint, method, nonce, answer)
    call.send(Tag.PROOF, nonce + b"\0" + identity.sign(b"voicemux/1 dialler\0" + said))
    _, _, admitted = await call.frame(Tag.WELCOME)
    must(admitted[0] in (OPEN, KNOWN), "a WELCOME of method OPEN or KNOWN")
    if OPEN in (method, admitted[0]):
        show_words(said)


async def admit(call, identity, listener):
    """A listener's part. Nothing that the dialler says is shown or believed before its proof."""
    _, _, said = await call.frame(Tag.CLAIM)
    method, commitment, share, certificate = said[0], said[1:33], said[34 : 34 + said[33]], said[34 + said[33] :]
    must(method <= CODE and len(share) == said[33] and len(certificate) <= 2048, "a well-formed CLAIM")
    if method == CODE:
        raise End(Code.WRONG_CODE, "there is no code here")
    must(not share, "a CLAIM without a share")
    answer = os.urandom(32)
    call.send(Tag.CHALLENGE, answer)
    _, _, proof = await call.frame(Tag.PROOF)
    nonce, signature, caller = proof[:32], proof[33:], hashlib.sha256(certificate).digest()
    must(proof[32] == 0 and digest(b"commitment", nonce) == commitment, "the nonce of the commitment")
    said = transcript(listener, caller, method, nonce, answer)
    must(signed(certificate, signature, b"voicemux/1 dialler\0" + said), "a signature by the key of the certificate")
    if identity.key_of_peer not in (None, caller):
        raise End(Code.UNKNOWN_CALLER, "that caller is not known here")
    admitted = KNOWN if identity.key_of_peer else OPEN
    call.send(Tag.WELCOME, bytes([admitted]))
    note(f"the key of the caller is {caller.hex()}")
    if OPEN in (method, admitted):
        show_words(said)
