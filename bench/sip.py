#!/usr/bin/env python3
"""The switch beside Kamailio: what a call costs, what 10,000 of them weigh, and what re-registrations cost.

One core for whoever is measured, the others for SIPp, which plays both ends. Ours is a back-to-back user agent that
writes the call's facts to its outbox, media end to end; Kamailio is a stateful proxy that stays in the path.
"""
import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from lab.kamailio import Kamailio   # noqa: E402

SHEAF = ROOT / "build/release/sheaf"
US, THEIRS, CALLER, CALLED = "127.0.0.1", "127.0.0.4", "127.0.0.2", "127.0.0.3"
PORT = int(os.environ.get("SHEAF_PORT_BASE", "36000"))
FIRST_DN = 100_000
QUIET_S = 36   # by then the last transaction is forgotten (64·T1)
CORES = sorted(os.sched_getaffinity(0))
OURS, OTHERS = CORES[-1], CORES[:-1] or CORES

CALLER_XML = """<?xml version="1.0" encoding="ISO-8859-1"?>
<scenario name="caller">
<send retrans="500"><![CDATA[
INVITE sip:[field0]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: <sip:+442079460000@[local_ip]:[local_port]>;tag=[pid]c[call_number]
To: <sip:[field0]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=caller 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
]]></send>
<recv response="100" optional="true" />
<recv response="180" optional="true" />
<recv response="200" rrs="true" />
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[routes]
From: <sip:+442079460000@[local_ip]:[local_port]>;tag=[pid]c[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<pause milliseconds="HOLD_MS" />
<send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[routes]
From: <sip:+442079460000@[local_ip]:[local_port]>;tag=[pid]c[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200" />
</scenario>
"""
CALLED_XML = """<?xml version="1.0" encoding="ISO-8859-1"?>
<scenario name="called">
<recv request="INVITE" />
<send><![CDATA[
SIP/2.0 180 Ringing
[last_Via:]
[last_From:]
[last_To:];tag=[pid]a[call_number]
[last_Call-ID:]
[last_CSeq:]
[last_Record-Route:]
Contact: <sip:called@[local_ip]:[local_port]>
Content-Length: 0

]]></send>
<send retrans="500"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[pid]a[call_number]
[last_Call-ID:]
[last_CSeq:]
[last_Record-Route:]
Contact: <sip:called@[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=called 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
]]></send>
<recv request="ACK" />
<recv request="BYE" />
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"""
REGISTER = """REGISTER sip:{us} SIP/2.0\r
Via: SIP/2.0/UDP {here};branch=z9hG4bK{dn}.{cseq}.{run}\r
From: <sip:{dn}@{us}>;tag={dn}\r
To: <sip:{dn}@{us}>\r
Call-ID: {dn}.{run}\r
CSeq: {cseq} REGISTER\r
Contact: <sip:{dn}@{contact}>\r
Max-Forwards: 70\r
Expires: 3600\r
{authorization}Content-Length: 0\r
\r
"""


def password_of(dn):
    return hashlib.sha256(str(dn).encode()).hexdigest()[:16]


def processes_below(pid):
    """The process and all that it has begun."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for task in pathlib.Path(f"/proc/{one}/task").iterdir():
            waiting += [int(child) for child in (task / "children").read_text().split()]
    return found


class Measured:
    """A program on its own core, and what it has used."""

    def __init__(self, popen):
        self.popen = popen

    def cpu_s(self):
        """Of all threads, from the scheduler's own count in nanoseconds."""
        used = 0
        for pid in processes_below(self.popen.pid):
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                used += int((task / "schedstat").read_text().split()[0])
        return used / 1e9

    def resident(self):
        return sum(int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024
                   for pid in processes_below(self.popen.pid))


class Switch(Measured):
    def __init__(self, folder, agents):
        folder.mkdir()
        config = folder / "switch.toml"
        lines = ['[node]', 'site = "bench"', 'name = "bench-1"', f'data = "{folder}/data"', '[switch]',
                 f'listen = ["udp:{US}:{PORT}"]', 'options_ms = 0', '[[switch.trunk]]', 'name = "carrier"',
                 f'addresses = ["sip:{CALLER}:{PORT}"]']
        for dn in range(FIRST_DN, FIRST_DN + agents):
            lines += ['[[switch.agent]]', f'dn = "{dn}"', f'password = "{password_of(dn)}"']
        config.write_text("\n".join(lines) + "\n")
        self.log = open(folder / "log", "ab")
        super().__init__(subprocess.Popen(["taskset", "-c", str(OURS), SHEAF, "run", "--config", config],
                                          stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log))
        deadline = time.monotonic() + 30
        while "msg=started" not in (folder / "log").read_text():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                self.close()
                sys.exit("bench: the switch did not start\n" + (folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def close(self):
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


class Proxy(Measured):
    def __init__(self, folder):
        folder.mkdir()
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {OURS})
        self.kamailio = Kamailio(folder, (THEIRS, PORT), (CALLED, PORT), memory_mb=512)
        os.sched_setaffinity(0, before)
        super().__init__(self.kamailio.popen)

    def close(self):
        self.kamailio.close()


class Sipp:
    def __init__(self, folder, name, xml, here, remote=None, port=PORT, **options):
        (folder / f"{name}.xml").write_text(xml)
        command = ["taskset", "-c", ",".join(map(str, OTHERS)), "sipp", "-sf", f"{name}.xml", "-i", here, "-p", str(port),
                   "-mi", here, "-mp", str(port * 11 % 20_000 + 40_000), "-nostdin", "-nd", "-trace_err", "-error_file", f"{name}.errors",
                   "-default_behaviors", "all,-bye", "-buff_size", "8388608"]
        for option, value in options.items():
            command += [f"-{option}", str(value)]
        if remote:
            command.append(remote)
        self.name, self.folder = name, folder
        self.log = open(folder / f"{name}.out", "ab")
        self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=folder,
                                      env={**os.environ, "TERM": "dumb"})

    def wait(self, timeout):
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            code = "no end"
        if code != 0:
            errors = self.folder / f"{self.name}.errors"
            self.close()
            said = errors.read_text(errors="replace")[:1000] if errors.exists() else ""
            sys.exit(f"bench: SIPp as {self.name} ended with {code}\n{said}")

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        self.log.close()


class Phones:
    """Registers agents with the switch: two requests each, as a phone does that keeps no nonce."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((CALLED, PORT + 2))
        self.runs = 0

    def send(self, dn, cseq, authorization=""):
        text = REGISTER.format(us=f"{US}:{PORT}", here=f"{CALLED}:{PORT + 2}", contact=f"{CALLED}:{PORT}", dn=dn, cseq=cseq,
                               run=self.runs, authorization=authorization)
        self.socket.sendto(text.encode(), (US, PORT))

    def answer(self, dn, challenge):
        nonce = re.search(r'nonce="([^"]+)"', challenge)[1]
        realm = re.search(r'realm="([^"]+)"', challenge)[1]
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()   # noqa: E731
        uri = f"sip:{US}:{PORT}"
        digest = md5(f"{md5(f'{dn}:{realm}:{password_of(dn)}')}:{nonce}:00000001:{dn}:auth:{md5(f'REGISTER:{uri}')}")
        return (f'Authorization: Digest username="{dn}", realm="{realm}", nonce="{nonce}", uri="{uri}", qop=auth, '
                f'nc=00000001, cnonce="{dn}", algorithm=MD5, response="{digest}"\r\n')

    def register(self, dns, rate):
        """All of them, no more a second than that."""
        self.runs += 1
        waiting, registered, begun = list(dns), 0, time.monotonic()
        count, deadline = len(waiting), time.monotonic() + len(waiting) / rate + 20
        sent = 0
        while registered < count:
            now = time.monotonic()
            if now > deadline:
                sys.exit(f"bench: only {registered} of {count} phones could register")
            while sent < count and sent < (now - begun) * rate:
                self.send(waiting[sent], 1)
                sent += 1
            self.socket.settimeout(max(0.001, begun + (sent + 1) / rate - now) if sent < count else 1)
            try:
                text = self.socket.recv(65536).decode()
            except TimeoutError:
                continue
            dn = int(re.search(r"\r\nCall-ID: (\d+)", text)[1])
            if text.startswith("SIP/2.0 401"):
                challenge = next(line for line in text.split("\r\n") if line.startswith("WWW-Auth") and "MD5" in line)
                self.send(dn, 2, self.answer(dn, challenge))
            elif text.startswith("SIP/2.0 200"):
                registered += 1

    def close(self):
        self.socket.close()


class Bench:
    def __init__(self, folder, wanted):
        self.folder, self.wanted = folder, wanted
        numbers = "SEQUENTIAL\n" + "".join(f"{dn};\n" for dn in range(FIRST_DN, FIRST_DN + wanted.agents))
        (folder / "numbers.csv").write_text(numbers)
        self.ours = Switch(folder / "ours", wanted.agents)
        self.theirs = Proxy(folder / "theirs")
        self.called = Sipp(folder, "called", CALLED_XML, CALLED)
        self.phones = Phones()

    def register(self, count, rate):
        self.phones.register(range(FIRST_DN, FIRST_DN + count), rate)

    def call(self, to, count, rate, hold_ms=0, on_all=None):
        """`on_all` is called when all of them talk."""
        xml = CALLER_XML.replace("HOLD_MS", str(hold_ms))
        run = Sipp(self.folder, "caller", xml, CALLER, f"{to}:{PORT}", inf="numbers.csv", m=count, r=rate, l=self.wanted.agents)
        if on_all:
            time.sleep(count / rate + QUIET_S)
            on_all()
        run.wait(count / rate + hold_ms / 1000 + 90)

    def cost_us(self, measured, to):
        count = self.wanted.calls
        time.sleep(1)
        before = measured.cpu_s()
        self.call(to, count, self.wanted.rate)
        time.sleep(1)   # what is written a moment later is part of the price
        return (measured.cpu_s() - before) / count * 1e6

    def close(self):
        self.phones.close()
        self.called.close()
        self.ours.close()
        self.theirs.close()


def run(folder, wanted):
    bench = Bench(folder, wanted)
    out = {}
    try:
        bench.register(wanted.agents, 1000)
        for to in (US, THEIRS):
            bench.call(to, wanted.calls // 2, wanted.rate)   # warm
        rounds = []
        for _ in range(wanted.rounds):
            ours = bench.cost_us(bench.ours, US)
            theirs = bench.cost_us(bench.theirs, THEIRS)
            rounds.append({"ours_us": round(ours, 1), "kamailio_us": round(theirs, 1), "ratio": round(ours / theirs, 3)})
        out["ratio_to_kamailio"] = round(statistics.median(one["ratio"] for one in rounds), 3)
        out["ours_us_per_call"] = round(statistics.median(one["ours_us"] for one in rounds), 1)
        out["kamailio_us_per_call"] = round(statistics.median(one["kamailio_us"] for one in rounds), 1)
        out["calls_per_round"] = wanted.calls
        out["rounds"] = rounds
        if wanted.memory:
            held = []
            time.sleep(QUIET_S)
            before = bench.ours.resident()
            hold_ms = int(wanted.agents / wanted.rate * 1000) + (QUIET_S + 10) * 1000
            bench.call(US, wanted.agents, wanted.rate, hold_ms, on_all=lambda: held.append(bench.ours.resident()))
            time.sleep(QUIET_S)
            after = bench.ours.resident()
            out["memory"] = {"calls": wanted.agents, "before_bytes": before, "held_bytes": held[0], "after_bytes": after}
            out["bytes_per_call"] = round((held[0] - before) / wanted.agents)
        if wanted.register_s:
            rate = wanted.agents / 60
            before = bench.ours.cpu_s()
            bench.register(int(rate * wanted.register_s), rate)
            used = bench.ours.cpu_s() - before
            out["reregistering"] = {"phones": wanted.agents, "every_s": 60,
                                    "core_percent": round(100 * used / wanted.register_s, 2)}
        if wanted.soak:
            part = wanted.soak // 10
            bench.call(US, part, wanted.rate)   # tables and the ladder get to their size
            time.sleep(QUIET_S)
            before, busy = bench.ours.resident(), []
            for _ in range(10):
                bench.call(US, part, wanted.rate)
                busy.append(bench.ours.resident())
            time.sleep(QUIET_S)
            out["soak"] = {"calls_before": part, "calls": 10 * part, "before_bytes": before, "after_tenths_bytes": busy,
                           "after_bytes": bench.ours.resident()}
    finally:
        bench.close()
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=10_000, help="a round")
    # Half of a core: at a few hundred what is measured is how a processor goes to sleep and wakes up.
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--register-s", type=int, default=60)
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    parser.add_argument("--soak", type=int, default=0)
    parser.add_argument("--keep", help="a folder for configurations and logs")
    wanted = parser.parse_args()
    folder = pathlib.Path(wanted.keep or tempfile.mkdtemp(prefix="sheaf-bench-"))
    folder.mkdir(exist_ok=True)
    try:
        print(json.dumps(run(folder, wanted), indent=1))
    finally:
        if not wanted.keep:
            shutil.rmtree(folder, ignore_errors=True)


main()
