# SPDX-License-Identifier: Apache-2.0
"""A real phone for the lab: Debian's linphonec, driven over its standard input, which is a FIFO."""
import array
import math
import os
import pathlib
import re
import subprocess
import threading
import time
import wave

# One registration, and nothing that looks for a way out.
CONFIG = """\
[sip]
sip_port={sip_port}
sip_tcp_port=0
sip_tls_port=0
use_ipv6=0
default_proxy=0
keepalive_period=0
media_encryption=none

[net]
firewall_policy=0

[rtp]
audio_rtp_port={rtp_low}-{rtp_high}

[sound]
echocancellation=0
{codecs}
[auth_info_0]
username={user}
passwd={password}

[proxy_0]
reg_proxy=<sip:{registrar}>
reg_identity=sip:{user}@{registrar}
reg_expires=600
reg_sendregister=1
publish=0
"""
CODEC = """
[audio_codec_{number}]
mime={mime}
rate={rate}
channels=1
enabled={enabled}
"""
CODECS = [("PCMU", 8000, 1), ("PCMA", 8000, 1), ("opus", 48000, 0), ("speex", 8000, 0), ("speex", 16000, 0),
          ("GSM", 8000, 0), ("G722", 8000, 0)]


def write_tone(path, hz, level_dbfs=-16, seconds=10):
    """A tone of whole Hz and whole seconds repeats without a click."""
    amplitude = 10 ** (level_dbfs / 20) * 32767
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(array.array("h", (round(amplitude * math.sin(2 * math.pi * hz * i / 8000))
                                           for i in range(8000 * seconds))).tobytes())


class Linphone:
    def __init__(self, folder, name, ports, user, password, registrar, tone_hz, log, prefix=()):
        """`ports`: SIP, and the first of 20 for RTP. `prefix` starts a program in another network."""
        self.name = name
        home = pathlib.Path(folder) / f"linphone-{name}"
        home.mkdir(parents=True)
        (home / ".local/share/linphone").mkdir(parents=True)  # without its database it never starts
        write_tone(home / "tone.wav", tone_hz)
        codecs = "".join(CODEC.format(number=n, mime=m, rate=r, enabled=e) for n, (m, r, e) in enumerate(CODECS))
        (home / "linphonerc").write_text(CONFIG.format(sip_port=ports[0], rtp_low=ports[1], rtp_high=ports[1] + 19, user=user,
                                                       password=password, registrar=registrar, codecs=codecs))
        fifo = home / "stdin"
        os.mkfifo(fifo)
        # Opened for both, so that neither end waits for the other and the phone never sees an end.
        self.input = os.open(fifo, os.O_RDWR)
        self.lines, self.changed = [], threading.Condition()
        self.log = open(log, "ab")
        self.popen = subprocess.Popen([*prefix, "linphonec", "-c", str(home / "linphonerc"), "-l", str(home / "phone.log"), "-d", "4"],
                                      stdin=self.input, stdout=subprocess.PIPE, stderr=self.log,
                                      env={**os.environ, "HOME": str(home), "TERM": "dumb"})
        threading.Thread(target=self._read, daemon=True).start()
        self.send("soundcard use files")
        self.send(f"play {home / 'tone.wav'}")

    def _read(self):
        for line in self.popen.stdout:
            text = line.decode(errors="replace").strip()
            self.log.write(f"{time.time():.3f} {text}\n".encode())
            self.log.flush()
            with self.changed:
                self.lines.append((time.time(), text))
                self.changed.notify_all()

    def send(self, command):
        os.write(self.input, command.encode() + b"\n")

    def mark(self):
        with self.changed:
            return len(self.lines)

    def wait(self, pattern, since=0, timeout=15):
        """The first line since the mark that matches: (when, match)."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                for at, line in self.lines[since:]:
                    if match := re.search(pattern, line):
                        return at, match
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"linphone {self.name}: no '{pattern}'; last {self.lines[-8:]}")
                self.changed.wait(left)

    def close(self):
        if self.popen.poll() is None:
            self.send("quit")
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        os.close(self.input)
        self.popen.stdout.close()
        self.log.close()
