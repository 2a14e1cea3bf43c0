import platform
import sys

import pytest

from voicemux.console import remedies
from voicemux.console.remedies import remedy

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n'
UBUNTU = 'NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'
MINT = 'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n'
FEDORA = "NAME='Fedora Linux'\nVERSION_ID=40\nID='fedora'\n"
ROCKY = 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\n'
ARCH = 'NAME="Arch Linux"\nID=arch\nBUILD_ID=rolling\n'
SUSE = 'NAME="openSUSE Tumbleweed"\nID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n'
ALPINE = 'NAME="Alpine Linux"\nID=alpine\n'

PIP = " && /opt/python -m pip install --force-reinstall --no-cache-dir PyAudio"


@pytest.fixture
def system(monkeypatch, tmp_path):
    """Makes this the system of that name, with that os-release."""
    monkeypatch.setattr(sys, "executable", "/opt/python")
    monkeypatch.setattr(remedies, "OS_RELEASE", tmp_path / "os-release")

    def become(name: str, release: str | bytes | None = None) -> None:
        monkeypatch.setattr(platform, "system", lambda: name)
        if release is not None:
            (tmp_path / "os-release").write_bytes(release if isinstance(release, bytes) else release.encode())

    return become


@pytest.mark.parametrize(
    ("release", "portaudio", "opus", "pyaudio"),
    [
        (DEBIAN, "apt install libportaudio2", "apt install libopus0", "apt install portaudio19-dev python3-dev gcc"),
        (UBUNTU, "apt install libportaudio2", "apt install libopus0", "apt install portaudio19-dev python3-dev gcc"),
        (MINT, "apt install libportaudio2", "apt install libopus0", "apt install portaudio19-dev python3-dev gcc"),
        (FEDORA, "dnf install portaudio", "dnf install opus", "dnf install portaudio-devel python3-devel gcc"),
        (ROCKY, "dnf install portaudio", "dnf install opus", "dnf install portaudio-devel python3-devel gcc"),
        (ARCH, "pacman -S portaudio", "pacman -S opus", "pacman -S portaudio gcc"),
        (
            SUSE,
            "zypper install libportaudio2",
            "zypper install libopus0",
            "zypper install portaudio-devel python3-devel gcc",
        ),
        (ALPINE, "apk add portaudio", "apk add opus", "apk add portaudio-dev python3-dev gcc musl-dev"),
    ],
    ids=["Debian", "Ubuntu", "Mint", "Fedora", "Rocky", "Arch", "openSUSE", "Alpine"],
)
def test_on_linux_it_is_the_package_manager_of_the_distribution(system, release, portaudio, opus, pyaudio):
    system("Linux", release)
    assert remedy("portaudio") == f"sudo {portaudio}"
    assert remedy("opus") == f"sudo {opus}"
    assert remedy("pyaudio") == f"sudo {pyaudio}{PIP}"


@pytest.mark.parametrize(
    "release",
    [None, "", "no assignment\n", "ID=of-somebodys-own\n", 'ID="\n', b"NAME=\xff\xfe\nID_LIKE=debian\n"],
    ids=["no file", "an empty one", "nonsense", "an unknown one", "half a quotation", "not UTF-8"],
)
def test_on_a_linux_that_is_not_known_it_is_apt(system, release):
    system("Linux", release)
    assert remedy("opus") == "sudo apt install libopus0"


def test_on_macos_it_is_homebrew_without_sudo(system):
    system("Darwin")
    assert remedy("portaudio") == "brew install portaudio"
    assert remedy("opus") == "brew install opus"
    assert remedy("pyaudio") == f"brew install portaudio{PIP}"


def test_on_windows_pyaudio_brings_portaudio_along(system):
    system("Windows")
    assert remedy("pyaudio") == remedy("portaudio") == "py -m pip install PyAudio"
    assert remedy("opus") == "copy opus.dll from opus-codec.org into the PATH"


def test_a_python_in_a_folder_with_spaces_can_be_pasted_into_a_shell(system, monkeypatch):
    system("Darwin")
    monkeypatch.setattr(sys, "executable", "/Users/al/my calls/bin/python")
    assert "&& '/Users/al/my calls/bin/python' -m pip install " in remedy("pyaudio")
