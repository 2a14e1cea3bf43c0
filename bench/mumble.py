"""A pair of Mumble clients that use TCP only, and their server at side a; each with its own defaults otherwise."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.processes import PATIENCE, Process
from bench.scene import Scene

PORT = 64738
SERVER_USER = "mumble-server"  # which Debian's murmurd becomes when it is started by root
DISPLAY = ":79"

SERVER = """\
database={folder}/murmur.sqlite
logfile=
welcometext=
port={port}
bandwidth=130000
users=10
bonjour=false
"""

# The voice detector opens on any sound; everything else about sound is as Mumble has it.
CLIENT = """\
[General]
lastupdate=2

[audio]
input=PulseAudio
output=PulseAudio
transmit=1
vadmin=0.1
vadmax=0.2
mutecue=false
echo={cancels}

[pulseaudio]
input={side}_mic.monitor
output={side}_spk

[net]
tcponly=true

[tts]
enable=false

[ui]
updatecheck=false
plugincheck=false
usage=false
askonquit=false

[overlay]
enable=false

[messages]
1=0
"""

CERTIFICATE = """\
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN={name} -keyout key.pem -out certificate.pem &&
openssl pkcs12 -export -passout pass: -inkey key.pem -in certificate.pem \
    -out Documents/MumbleAutomaticCertificateBackup.p12
"""


def start_mumble(scene: Scene, cancels: bool = False) -> None:
    """`cancels` is whether its echo cancellation is on. It is off when Mumble 1.3 comes."""
    server, digest = _start_server(scene)
    scene.start("a", ("Xvfb", DISPLAY, "-screen", "0", "800x600x24", "-nolisten", "tcp"), weighed=False)
    _await(Path(f"/tmp/.X11-unix/X{DISPLAY[1:]}").exists, "Xvfb")
    for side in "ab":
        home = scene.folder / f"mumble-{side}"
        _make_home(home, CLIENT.format(side=side, cancels=str(cancels).lower()), scene.place.address("a"), digest)
        scene.start(
            side,
            ("mumble", "--multiple", f"mumble://{side}@{scene.place.address('a')}:{PORT}/?version=1.3.0"),
            {
                "DISPLAY": DISPLAY,
                "HOME": str(home),
                "XDG_CONFIG_HOME": str(home / ".config"),
                "XDG_DATA_HOME": str(home / ".local/share"),
                "RES_OPTIONS": "timeout:1 attempts:1",  # it asks for a name server, which is not there
            },
        )
        server.await_output(f":{side}(-1)> Authenticated")


def _start_server(scene: Scene) -> tuple[Process, str]:
    """Returns it, and the digest of its certificate."""
    folder = scene.folder / "murmur"
    folder.mkdir()
    (folder / "murmur.ini").write_text(SERVER.format(folder=folder, port=PORT))
    if os.geteuid() == 0:
        shutil.chown(folder, SERVER_USER, SERVER_USER)
    server = scene.start("a", ("murmurd", "-fg", "-ini", str(folder / "murmur.ini")))
    address = f"{scene.place.address('a')}:{PORT}"
    certificate = b""

    def answers() -> bool:
        nonlocal certificate
        command = scene.place.command("a", ("openssl", "s_client", "-connect", address))
        certificate = subprocess.run(command, input=b"", capture_output=True).stdout
        return b"BEGIN CERTIFICATE" in certificate

    _await(answers, "murmurd")
    printed = subprocess.run(
        ("openssl", "x509", "-noout", "-fingerprint", "-sha1"), input=certificate, stdout=subprocess.PIPE, check=True
    )
    return server, printed.stdout.decode().strip().split("=")[-1].replace(":", "").lower()


def _make_home(home: Path, settings: str, server: str, digest: str) -> None:
    """So that nothing is asked: there is a certificate, found as a backup, and the server's is known already."""
    config, documents, data = home / ".config/Mumble", home / "Documents", home / ".local/share/Mumble/Mumble"
    for folder in (config, documents, data):
        folder.mkdir(parents=True)
    (config / "Mumble.conf").write_text(settings)
    subprocess.run(CERTIFICATE.format(name=home.name), shell=True, cwd=home, capture_output=True, check=True)
    for name in ("mumble.sqlite", ".mumble.sqlite"):
        database = sqlite3.connect(data / name)
        database.execute(
            'CREATE TABLE "cert" ("id" INTEGER PRIMARY KEY AUTOINCREMENT,'
            ' "hostname" TEXT, "port" INTEGER, "digest" TEXT)'
        )
        database.execute('CREATE UNIQUE INDEX "cert_host_port" ON "cert"("hostname","port")')
        database.execute("INSERT INTO cert (hostname, port, digest) VALUES (?,?,?)", (server, PORT, digest))
        database.commit()
        database.close()


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} does not start")
        time.sleep(0.1)
