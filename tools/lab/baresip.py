# SPDX-License-Identifier: Apache-2.0
"""A real phone for the lab: Debian's baresip, driven over its control socket."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

CONFIG = """\
sip_listen {address}:{sip_port}
audio_source ausine,{tone_hz}
audio_player aubridge,nil
audio_alert aubridge,nil
ausrc_srate 48000
ausrc_channels 2
auplay_srate 8000
auplay_channels 1
audio_buffer 20-160
rtp_ports {rtp_low}-{rtp_high}
call_local_timeout 120
call_max_calls 4
module_path /usr/lib/baresip/modules
module g711.so
module ausine.so
module aubridge.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {address}:{control_port}
"""


class Baresip:
    def __init__(self, folder, name, address, ports, user, password, registrar, tone_hz, log, prefix=(), connect=None):
        """`ports`: SIP (the next one is its TLS), control, and the first of 20 for RTP. In another network: `prefix` is what
        starts a program there, and `connect` what connects to an address of it."""
        self.name, self.address, self.control_port = name, address, ports[1]
        self.connect = connect or (lambda address: socket.create_connection(address, 1))
        home = pathlib.Path(folder) / f"baresip-{name}"
        home.mkdir(parents=True)
        (home / "config").write_text(CONFIG.format(address=address, sip_port=ports[0], control_port=ports[1],
                                                   rtp_low=ports[2], rtp_high=ports[2] + 19, tone_hz=tone_hz))
        (home / "accounts").write_text(f"<sip:{user}@{registrar}>;auth_user={user};auth_pass={password};"
                                       "answermode=manual;audio_codecs=pcmu,pcma;regint=600\n")
        (home / "contacts").write_text("")
        self.events, self.changed = [], threading.Condition()
        self.log = open(log, "ab")
        self.popen = subprocess.Popen([*prefix, shutil.which("baresip") or "baresip", "-f", str(home), "-n", address], stdin=subprocess.DEVNULL,
                                      stdout=self.log, stderr=self.log, env={**os.environ, "HOME": str(home)})
        self.socket = self._connect()
        threading.Thread(target=self._read, daemon=True).start()

    def _connect(self):
        deadline = time.monotonic() + 10
        while True:
            try:
                return self.connect((self.address, self.control_port))
            except OSError:
                if time.monotonic() > deadline or self.popen.poll() is not None:
                    raise RuntimeError(f"baresip {self.name} did not start") from None
                time.sleep(0.05)

    def _read(self):
        buffer = b""
        self.socket.settimeout(None)
        while True:
            try:
                chunk = self.socket.recv(65536)
            except OSError:
                chunk = b""
            if not chunk:
                return
            buffer += chunk
            while b":" in buffer:
                length, _, rest = buffer.partition(b":")
                if len(rest) < int(length) + 1:
                    break
                message, buffer = json.loads(rest[:int(length)]), rest[int(length) + 1:]
                message["at"] = time.time()
                self.log.write(json.dumps(message).encode() + b"\n")
                self.log.flush()
                with self.changed:
                    self.events.append(message)
                    self.changed.notify_all()

    def send(self, command, params=""):
        body = json.dumps({"command": command, "params": params, "token": command}).encode()
        self.socket.sendall(str(len(body)).encode() + b":" + body + b",")

    def mark(self):
        with self.changed:
            return len(self.events)

    def wait(self, kind, since=0, timeout=15):
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                for event in self.events[since:]:
                    if event.get("event") and event.get("type") == kind:
                        return event
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"baresip {self.name}: no {kind}; last {self.events[-5:]}")
                self.changed.wait(left)

    def close(self):
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self.socket.close()
        self.log.close()
