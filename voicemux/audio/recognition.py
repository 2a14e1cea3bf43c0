"""Recognises what a stream of bytes is by its beginning: raw sound has no mark, everything else has one."""

import codecs

from voicemux.errors import DeviceError, Kind

ENOUGH = 4096  # bytes with which everything can be recognised: two frames of MPEG
MOST_TEXT = 256  # bytes: raw sound never looks like text for so long, and silence not even in its first byte

# Offset, mark and name. Several are from https://www.iana.org/assignments/media-types and
# https://github.com/file/file (magic/Magdir/audio, animation, riff).
_MARKS = [
    (0, b"OggS", "Ogg"),
    (0, b"fLaC", "FLAC"),
    (0, b"ID3", "MP3"),
    (0, b"FORM", "AIFF"),
    (0, b"caff", "CAF"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (4, b"ftyp", "MP4"),
    (4, b"moov", "MP4"),
    (0, b".snd", "AU"),
    (0, b"dns.", "AU"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
    (0, b"RIFX", "big-endian WAV"),
    (0, b"RIFF", "RIFF"),  # WAV is found before this
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"TTA", "TTA"),
    (0, b"MP+", "Musepack"),
    (0, b"MPCK", "Musepack"),
    (0, b"#!AMR", "AMR"),
    (0, b"ADIF", "AAC"),
    (0, b"FRM8", "DSD"),
    (0, b"DSD ", "DSD"),
    (0, b"FLV\x01", "FLV"),
    (0, b"MThd", "MIDI"),
    (0, b"NIST_1A", "SPHERE"),
    (0, b"Creative Voice File", "VOC"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (0, b"\x00\x00\x01\xba", "MPEG"),
    (0, b"\x00\x00\x01\xb3", "MPEG"),
    (0, b".RMF\x00\x00", "RealMedia"),
    (0, b".ra\xfd\x00", "RealAudio"),
    (0, b"ajkg", "Shorten"),
    (0, b"#!SILK_V3", "SILK"),
    (0, b"\x02#!SILK_V3", "SILK"),
    (0, b"\x7f\xfe\x80\x01", "DTS"),
    (0, b"\x1f\x8b\x08", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"Rar!\x1a\x07", "RAR"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"\x04\x22\x4d\x18", "LZ4"),
    (0, b"LZIP\x01", "lzip"),
    (0, b"%PDF-", "PDF"),
    (0, b"GIF8", "GIF"),
    (0, b"\xff\xd8\xff\xe0", "JPEG"),
    (0, b"\xff\xd8\xff\xe1", "JPEG"),
    (0, b"\x89PNG\r\n", "PNG"),
    (0, b"\x7fELF", "a program"),
]
ARCHIVES = ("gzip", "bzip2", "xz", "Zstandard", "ZIP", "RAR", "7z", "LZ4", "lzip")
NO_SOUND = ("PDF", "PNG", "GIF", "JPEG", "a program")
WAV = "WAV"
TEXT = "text"
RAW = ""
_WAV_MARKS = (b"RIFF", b"RF64", b"BW64")
_LONGEST = max(at + len(mark) for at, mark, _ in _MARKS)

# Forms that are recognised only by their second frame, and the bytes that this takes.
_SYNCS = [(b"\xff", 4), (b"\x47", 377), (b"\x0b\x77", ENOUGH)]

# MPEG-1 and 2 audio (ISO/IEC 11172-3 §2.4.2.3, 13818-3): kbit/s by whether it is MPEG-1, and layer; Hz by version.
_BITRATES = {
    (True, 1): [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    (True, 2): [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    (True, 3): [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    (False, 1): [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    (False, 2): [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    (False, 3): [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
}
_RATES = {3: [44_100, 48_000, 32_000], 2: [22_050, 24_000, 16_000], 0: [11_025, 12_000, 8_000]}


def recognise(head: bytes, *, is_all: bool) -> str | None:
    """What begins with `head`: `WAV`, `TEXT`, `RAW`, or the name of another form. None: it takes more to tell.

    `is_all`: there is no more, or `ENOUGH`.
    """
    if not head:
        return RAW if is_all else None
    if head[:4] in _WAV_MARKS and head[8:12] == b"WAVE":
        return WAV
    if not is_all and len(head) < _LONGEST and _may_become_marked(head):
        return None
    if not is_all and any(head.startswith(sync[: len(head)]) and len(head) < enough for sync, enough in _SYNCS):
        return None
    for at, mark, name in _MARKS:
        if head[at : at + len(mark)] == mark:
            return name
    for name, measure in (("MP3", _mpeg_frame), ("AAC", _adts_frame)):
        if length := measure(head):
            following = head[length : length + 4]
            if len(following) < 4 and not is_all:
                return None
            if measure(following):
                return name
    if head[:1] == head[188:189] == head[376:377] == b"\x47":  # ISO/IEC 13818-1 §2.4.3: packets of 188 bytes
        return "MPEG"
    if head[:2] == b"\x0b\x77" in head[2:] and head[4:5] < b"\xc0":  # ETSI TS 102 366 §4.3: a second frame
        return "AC-3"
    if _is_text(head[:MOST_TEXT], is_cut=len(head) >= MOST_TEXT or not is_all):
        return TEXT if is_all or len(head) >= MOST_TEXT else None
    return RAW


def refuse_what_is_no_sound(form: str | None, label: str) -> None:
    """Raise DeviceError for forms that are not sound, or not without unpacking."""
    if form in ARCHIVES:
        raise DeviceError(f"{label} is a {form} archive, and no sound", kind=Kind.COMPRESSED)
    if form in NO_SOUND:
        raise DeviceError(f"{label} is {form}, and no sound")


def _may_become_marked(head: bytes) -> bool:
    """Whether more bytes could make `head` one of the marks."""
    marks = [*((at, mark) for at, mark, _ in _MARKS), *((0, mark) for mark in _WAV_MARKS)]
    if len(head) < 12 and any(head[:4] == mark for mark in _WAV_MARKS):
        return True
    return any(
        (begun := head[at : at + len(mark)]) == mark[: len(begun)] and len(begun) < len(mark)
        for at, mark in marks
        if at < len(head)
    )


def _mpeg_frame(head: bytes) -> int:
    """Return the length in bytes of the MPEG audio frame that begins there; 0 if none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3 or head[3] & 3 == 2:
        return 0
    bits, hertz = _BITRATES[version == 3, layer][bitrate - 1] * 1000, _RATES[version][rate]
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding


def _adts_frame(head: bytes) -> int:
    """The length of the AAC frame in ADTS (ISO/IEC 13818-7 §6.2) that begins there; 0 if none does.

    Of the one that follows, four bytes do: its length is taken as it is.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    if len(head) < 6:
        return 7
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= 7 else 0


def _is_text(head: bytes, *, is_cut: bool) -> bool:
    """Whether `head` is UTF-8 without control characters. `is_cut`: the last character need not be complete."""
    if len(head) < 2 and not is_cut:
        return False
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=not is_cut)
    except UnicodeDecodeError:
        return False
    return not any(
        (character < " " and character not in "\t\r\n\f\x1b") or "\x7f" <= character < "\xa0" for character in text
    )
