"""A pair of baresip: SIP and RTP over UDP, Opus, a direct call that is answered by itself, its own defaults."""

from pathlib import Path

from bench.scene import Scene

# The sound goes through ALSA to the virtual cards; buffers, jitter buffer and bitrate are those of its own template.
CONFIG = """\
poll_method epoll
sip_listen {address}:5060
audio_player alsa,default
audio_source alsa,default
audio_alert alsa,default
audio_path /nonexistent
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
audio_buffer 20-160
jitter_buffer_delay 5-10
rtp_tos 184
module_path {modules}
module opus.so
module alsa.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
ring_aufile none
opus_bitrate 28000
"""
FOLDERS = ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules")


def start_baresip(scene: Scene) -> None:
    modules = next((folder for folder in FOLDERS if Path(folder).exists()), FOLDERS[0])
    for side in "ba":
        address = scene.place.address(side)
        folder = scene.folder / f"baresip-{side}"
        folder.mkdir()
        (folder / "config").write_text(CONFIG.format(address=address, modules=modules))
        (folder / "accounts").write_text(f"<sip:{side}@{address}>;regint=0;answermode=auto\n")
        (folder / "contacts").write_text("")
        dial = ("-e", f"/dial sip:b@{scene.place.address('b')}") if side == "a" else ()
        process = scene.start(side, ("baresip", "-f", str(folder), *dial))
        if side == "b":
            process.await_output("baresip is ready")
