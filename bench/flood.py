#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recorded calls at a site that is being flooded: what of them is lost, what it costs in memory, and who still gets through.

One `sheaf run` is switch and media server. Customers of a trunk talk to agents who are always recorded, both ends with real
RTP. Then strangers send it malformed and unwanted messages. Demanded: every packet that was sent is in a segment file, memory
stays within its budget, a new phone and a new call get through within 5 s of the end, no crash, hardly a line of log.
"""
import argparse
import asyncio
import collections
import json
import multiprocessing
import os
import pathlib
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import flood_messages
import flood_people

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from lab.world import Process   # noqa: E402

US, TRUNK, PHONES, NEW_PHONE = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.77"
SITE, POINT, POINT_NUMBER, OUTSIDE = "flood", "8000", "+442071234567", "9"
LOOPBACK_HEX = "0100007F"   # ours, as /proc/net/udp writes it
FIRST_DN = 1000
MIB = 1 << 20
MEMORY_MAX = 200 * MIB   # more than before the flood
RECOVERY_MAX_S = 5
LOG_LINES_MORE = 12      # beside one a minute: a line that repeats itself is said ever more seldom, not at once
PROBE_EVERY_S = 2        # a call of the trunk's, during the flood
SEALED_MAX_S = 300
SETUPS_AT_ONCE = 10


class Ports:
    """Of twenty calls all lie in base to base + 999, the site's and its people's; more calls need more."""

    def __init__(self, base, calls):
        self.sip, self.media, self.people = base, base + 10, base + 20
        legs = 2 * calls + 360   # strangers' calls, which are answered, need ports as well, until they are over
        self.rtp = (base + 100, base + 100 + 2 * legs - 1)
        self.people_rtp = self.rtp[1] + 1


class Site:
    """`sheaf run` as switch and media server, its memory, its log and its packets."""

    def __init__(self, folder, program, ports, agents):
        self.folder, self.program, self.ports = folder, program, ports
        self.passwords = {str(FIRST_DN + number): secrets.token_hex(8) for number in range(agents)}
        config = folder / "site.toml"
        config.write_text("\n".join(self.toml()) + "\n")
        self.log = folder / "site.log"
        self.process = Process(SITE, program, config, self.log).start()
        self.pid = self.process.popen.pid

    def toml(self):
        p = self.ports
        lines = ["[node]", f'site="{SITE}"', f'name="{SITE}-1"', f'data="{self.folder}/data"', "[switch]",
                 f'listen=["udp:{US}:{p.sip}"]', f'media=["sip:{US}:{p.media}"]',
                 "[[switch.trunk]]", 'name="carrier"', f'addresses=["sip:{TRUNK}:{p.people}"]',
                 "[[switch.route]]", f'match="^{OUTSIDE}(.*)$"', 'to="trunk:carrier"', 'number="+$1"',
                 "[[switch.routing_point]]", f'dn="{POINT}"', f'numbers=["{POINT_NUMBER}"]',
                 'treatment=["say:welcome", "music:default"]', f"targets={json.dumps([f'agent:{dn}' for dn in self.passwords][:-2])}"]
        for dn, password in self.passwords.items():
            lines += ["[[switch.agent]]", f'dn="{dn}"', f'password="{password}"', 'record="always"']
        prompts = self.program.parent / "prompts"
        return [*lines, "[media]", f'sip=["udp:{US}:{p.media}"]', f'rtp="{US}:{p.rtp[0]}-{p.rtp[1]}"',
                *([f'prompts="{prompts}"'] if prompts.exists() else [])]

    def resident(self):
        found = re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0

    def cpu_s(self):
        return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir()) / 1e9

    def not_read(self):
        """Datagrams that its SIP socket and its RTP sockets had no room for."""
        counts = collections.Counter()
        for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            number = int(port, 16)
            if address == LOOPBACK_HEX and number in (self.ports.sip, self.ports.media):
                counts["sip"] += int(fields[-1])
            elif address == LOOPBACK_HEX and self.ports.rtp[0] <= number <= self.ports.rtp[1]:
                counts["rtp"] += int(fields[-1])
        return counts

    def log_size(self):
        return self.log.stat().st_size

    def log_lines(self, begin, end=None):
        return self.log.read_bytes()[begin:end].decode(errors="replace").splitlines()

    def sealed(self):
        return sum(1 for _ in (self.folder / "data").rglob("*.seg"))

    def verify(self):
        ran = subprocess.run([self.program, "verify", self.folder / "data", "--json"], capture_output=True, text=True, check=False)
        if not ran.stdout.startswith("{"):
            raise RuntimeError(f"sheaf verify: {ran.stdout[-500:]}{ran.stderr[-500:]}")
        return json.loads(ran.stdout)


class Helper:
    """A process that sends: told things and asked for things without holding up who speaks SIP meanwhile."""

    def __init__(self, work, *arguments):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()

    def tell(self, what):
        self.pipe.send(what)

    async def hear(self, timeout):
        deadline = time.monotonic() + timeout
        while not self.pipe.poll():
            if not self.process.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"{self.process.name} has not answered")
            await asyncio.sleep(0.02)
        return self.pipe.recv()

    def close(self):
        self.process.kill()
        self.process.join()


class Bench:
    """`wanted`: what the command line says, and `program`."""

    def __init__(self, folder, wanted):
        self.folder, self.wanted = folder, wanted
        self.ports = Ports(wanted.port_base, wanted.calls)
        self.out = {"calls": wanted.calls}
        self.site, self.problems, self.refused = None, [], []
        self.stations, self.helpers = [], []
        self.segments = 0   # that there will be

    # ---- who is there -------------------------------------------------------------------------------------------
    async def open(self):
        p, calls = self.ports, self.wanted.calls
        self.site = Site(self.folder, self.wanted.program, p, calls + 2)
        dns = list(self.site.passwords)
        self.dns, self.spare, self.new = dns[:calls], dns[calls], dns[calls + 1]
        self.rtp_of = {dn: p.people_rtp + 2 * number for number, dn in enumerate(dns)}
        self.customers_ssrc = {0x10000 + number: dn for number, dn in enumerate(self.dns)}
        self.agents_ssrc = {0x20000 + number: dn for number, dn in enumerate(self.dns)}
        streams = {ssrc: (TRUNK, self.rtp_of[dn]) for ssrc, dn in self.customers_ssrc.items()}
        streams.update({ssrc: (PHONES, self.rtp_of[dn]) for ssrc, dn in self.agents_ssrc.items()})
        self.rtp = self.helper(flood_people.send_rtp, streams)
        self.flood = self.helper(flood_messages.flood, (US, p.sip), self.wanted.rate, self.wanted.seconds,
                                 (SITE, dns, [POINT, POINT_NUMBER], OUTSIDE),
                                 {self.wanted.only: 100} if self.wanted.only else flood_messages.MIX)
        self.trunk = await self.station(TRUNK)
        self.phones = await self.station(PHONES)
        self.new_phone = await self.station(NEW_PHONE)
        self.phones.phones = {dn: self.rtp_of[dn] for dn in [*self.dns, self.spare]}
        self.new_phone.phones = {self.new: self.rtp_of[self.new]}
        await self.in_turns(self.register, [*self.dns, self.spare])
        await self.rtp.hear(20)
        await self.flood.hear(60)

    def helper(self, *what):
        self.helpers.append(Helper(*what))
        return self.helpers[-1]

    async def station(self, address):
        self.stations.append(await flood_people.Station(address, self.ports.people, (US, self.ports.sip)).open())
        return self.stations[-1]

    @staticmethod
    async def in_turns(work, items):
        turns = asyncio.Semaphore(SETUPS_AT_ONCE)

        async def one(item):
            async with turns:
                return await work(item)

        return await asyncio.gather(*(one(item) for item in items))

    async def register(self, dn):
        status = await self.phones.register(dn, self.site.passwords[dn])
        if status != 200:
            raise RuntimeError(f"phone {dn} cannot register: {status}")

    async def close(self):
        for station in self.stations:
            station.close()
        for helper in self.helpers:
            helper.close()
        if self.site:
            self.site.process.kill()

    # ---- what is played -----------------------------------------------------------------------------------------
    async def talk(self):
        """All calls stand, and both ends of each speak."""
        self.calls = dict(zip(self.dns, await self.in_turns(lambda dn: self.trunk.call(dn, self.rtp_of[dn]), self.dns)))
        self.segments += len(self.calls)
        self.agents_calls = dict(self.phones.by_user)
        await asyncio.sleep(1)   # what is recorded by then is recorded from the first packet on
        to = {ssrc: self.calls[dn].media for ssrc, dn in self.customers_ssrc.items()}
        to.update({ssrc: self.agents_calls[dn].media for ssrc, dn in self.agents_ssrc.items()})
        self.rtp.tell(to)
        await asyncio.sleep(2)

    async def call_and_hang_up(self, dn):
        """How long a customer's call to that agent takes until it is answered."""
        call = await self.trunk.call(dn, self.rtp_of[self.spare], user="+442079460001")
        self.segments += 1
        await asyncio.sleep(0.3)
        await self.trunk.hang_up(call)
        return call.answered_s

    async def sample(self, over):
        """The memory at its largest."""
        most = 0
        while not over.is_set():
            most = max(most, self.site.resident())
            await asyncio.sleep(0.2)
        return most

    async def probe(self, over):
        """How long calls of the trunk's took, one after the other, and registrations of a phone that is known."""
        calls, registrations = [], []
        while not over.is_set():
            await asyncio.sleep(PROBE_EVERY_S)
            try:
                calls.append(await self.call_and_hang_up(self.spare))
                begun = time.monotonic()
                await self.register(self.spare)
                registrations.append(time.monotonic() - begun)
            except (RuntimeError, TimeoutError) as error:
                self.refused.append(str(error))
        return calls, registrations

    async def during(self):
        """The flood, and what is measured while it goes on; gives the moment when it was over."""
        over = asyncio.Event()
        cpu, log, not_read = self.site.cpu_s(), self.site.log_size(), self.site.not_read()
        tasks = [asyncio.create_task(self.sample(over)), asyncio.create_task(self.probe(over))]
        self.flood.tell("begin")
        told = await self.flood.hear(self.wanted.seconds + 60)
        used, now = self.site.cpu_s() - cpu, self.site.not_read()
        self.out["log_lines"], self.out["log"] = self.said(log, self.site.log_size())
        over.set()
        self.out.update(seconds=round(told["seconds"], 1), flood_sent=told["sent"], flood_per_s=round(told["sent"] / told["seconds"]),
                        flood_kinds=told["kinds"], cores_used=round(used / told["seconds"], 3),
                        sip_not_read=now["sip"] - not_read["sip"], rtp_not_read=now["rtp"] - not_read["rtp"])
        self.probing = tasks
        return told["ended"]

    async def recovery(self, ended):
        """Who is new gets through."""
        status = await self.new_phone.register(self.new, self.site.passwords[self.new])
        self.out["register_after_s"] = round(time.monotonic() - ended, 3)
        if status != 200:
            self.problems.append(f"after the flood a new phone's registration was answered with {status}")
        else:
            call = await self.trunk.call(self.new, self.rtp_of[self.new], user="+442079460002")
            self.segments += 1
            self.out["call_after_s"] = round(time.monotonic() - ended, 3)
            await self.trunk.hang_up(call)
        self.out["rss_peak"], (calls, registrations) = await asyncio.gather(*self.probing)
        self.out.update(calls_during=len(calls), refused_during=collections.Counter(self.refused),
                        call_during_s=round(max(calls, default=-1), 3),
                        call_during_median_s=round(statistics.median(calls or [-1]), 3),
                        register_during_s=round(max(registrations, default=-1), 3))

    async def hang_up(self):
        self.rtp.tell("stop")
        self.told = await self.rtp.hear(20)
        await asyncio.sleep(0.5)
        lost = [dn for dn, call in [*self.calls.items(), *self.agents_calls.items()] if call.ended.is_set()]
        moved = [dn for dn, call in [*self.calls.items(), *self.agents_calls.items()] if call.moved]
        if lost or moved:
            self.problems.append(f"calls that did not last: {lost}; whose media went elsewhere: {moved}")
        self.phones.phones = self.new_phone.phones = {}
        await self.in_turns(self.trunk.hang_up, [call for call in self.calls.values() if not call.ended.is_set()])
        deadline = time.monotonic() + SEALED_MAX_S
        while self.site.sealed() < self.segments and time.monotonic() < deadline:
            await asyncio.sleep(0.2)

    async def run(self):
        try:
            await self.open()
            await self.talk()
            self.out["rss_before"] = self.site.resident()
            ended = await self.during()
            await self.recovery(ended)
            await asyncio.sleep(self.wanted.settle_s)
            self.out["rss_after"] = self.site.resident()
            await self.hang_up()
            if not self.site.process.running():
                self.problems.append(f"the site has crashed: {self.site.process.tail()}")
            elif (code := self.site.process.stop(60)) != 0:
                self.problems.append(f"the site ended with {code}: {self.site.process.tail()}")
            self.look_at_log()
            self.look_at_segments()
        finally:
            await self.close()
        return self.out, self.problems + missed(self.out, self.wanted)

    # ---- what has come of it ------------------------------------------------------------------------------------
    def said(self, begin, end):
        """The number of log lines, without those of our own calls' recordings, and how often each message."""
        lines = self.site.log_lines(begin, end)
        messages = (re.search(r"level=\w+ msg=(\"[^\"]*\"|\S+)", line) for line in lines)
        counts = collections.Counter(found[1].strip('"') if found else "?" for found in messages)
        return len(lines) - counts["sealed a segment"], dict(counts.most_common())

    def look_at_log(self):
        bad = [line for line in self.site.log_lines(0) if not line.startswith("time=") or " level=error " in line]
        if bad:
            self.problems.append("the log has errors, or what is no line of a log: " + "; ".join(bad[:5]))

    def look_at_segments(self):
        """What each connection said and heard in its segment, against what agent and customer sent. Who says something keeps
        the numbers that it gave; what is heard has been given others on its way through the site."""
        report = self.site.verify()
        problems = [f"{file['path']}: {problem}" for file in report["files"] for problem in file["problems"]]
        if problems or not report["ok"]:
            self.problems.append("sheaf verify: " + "; ".join(problems[:5]))
        sent, stored, before, seen, odd = sum(self.told["packets"].values()), 0, 0, set(), []
        for segment in report["segments"]:
            channels = {channel["channel"]: channel for channel in segment["channels"]}
            sources = channels["said"]["ssrcs"]
            if not sources:
                continue   # a call without a word, of those that were made during the flood
            seen.add(sources[0]["ssrc"])
            before += 2 * ((sources[0]["first_sequence"] - flood_people.FIRST_SEQUENCE) & 0xffff)
            stored += sum(channel["in_file"] for channel in channels.values())
            if any(len(channel["ssrcs"]) != 1 or channel["lost"] for channel in channels.values()):
                odd.append(segment["segment"])
        if odd:
            self.problems.append(f"{len(odd)} segments have gaps, or voices that nobody of ours has, the first {odd[0]}")
        wanted = set(self.agents_ssrc)
        if seen != wanted:
            self.problems.append(f"{len(wanted - seen)} agents are in no segment, {len(seen - wanted)} voices are nobody's")
        self.out.update(packets_sent=sent, packets_stored=stored, packets_before_recording=before, packets_missing=sent - before - stored,
                        segments=len(report["segments"]), segments_wanted=self.segments, rtp_latest_ms=self.told["latest_ms"])


def missed(out, wanted):
    """Which demands are not met, in words."""
    lines = int(out["seconds"] // 60) + LOG_LINES_MORE
    demands = [(out["packets_missing"] == 0, f"{out['packets_missing']} of {out['packets_sent']} packets are in no segment file"),
               (out["segments"] == out["segments_wanted"], f"{out['segments']} segments, not {out['segments_wanted']}"),
               (out["packets_stored"] > 0.9 * out["packets_sent"], "less was recorded than was said"),
               (out["rss_peak"] - out["rss_before"] <= MEMORY_MAX,
                f"memory grew by {(out['rss_peak'] - out['rss_before']) / MIB:.0f} MiB, and may by {MEMORY_MAX / MIB:.0f}"),
               (out["register_after_s"] <= RECOVERY_MAX_S, f"a new phone was registered {out['register_after_s']} s after the flood"),
               (out.get("call_after_s", 99) <= RECOVERY_MAX_S, f"a new call was answered {out.get('call_after_s')} s after the flood"),
               (out["calls_during"] > 0 and not out["refused_during"],
                f"during the flood {out['calls_during']} calls of the trunk's were answered, and refused: {dict(out['refused_during'])}"),
               (out["log_lines"] <= lines, f"{out['log_lines']} lines of log, where {lines} are enough"),
               (out["flood_per_s"] >= wanted.least, f"only {out['flood_per_s']} messages a second could be sent")]
    return [words for is_met, words in demands if not is_met]


def play(folder, wanted):
    """(figures, what was not as demanded)."""
    return asyncio.run(Bench(folder, wanted).run())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--rate", type=int, default=5000, help="messages a second")
    parser.add_argument("--least", type=int, default=4500, help="of them that must have been sent")
    parser.add_argument("--only", choices=flood_messages.MIX, help="messages of this kind alone")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--settle-s", type=float, default=2, help="from the recovery to the last look at the memory")
    parser.add_argument("--keep", help="a folder for configuration, log and data")
    parser.add_argument("--port-base", type=int, default=int(os.environ.get("SHEAF_PORT_BASE", "36000")))
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path(os.environ.get("SHEAF_BUILD", ROOT / "build/release")))
    wanted = parser.parse_args()
    wanted.program = wanted.build / "sheaf"
    folder = pathlib.Path(wanted.keep or tempfile.mkdtemp(prefix="sheaf-bench-"))
    folder.mkdir(exist_ok=True)
    try:
        out, problems = play(folder, wanted)
    finally:
        if not wanted.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(out, indent=1))
    for problem in problems:
        print(f"bench: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
