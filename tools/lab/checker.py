# SPDX-License-Identifier: Apache-2.0
"""Holds what the archive shows against the oracle, and listens to the files: who is audible where, window by window."""
import datetime
import hashlib
import io
import math
import struct

from .people import TONES

WINDOW = 1600          # samples: 200 ms at 8 kHz
GUARD_S = 0.25         # around a change of voices: what people hear while media moves is not judged
PRESENT_DB = -26.0     # a lab tone is sent at -16 dBFS
ABSENT_DB = -46.0
EDGE_S = 0.250         # a start or an end against the signalling, at most
QUEUE = {"queue", "treatment", "ringing"}


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def read_wav(data):
    """(rate, channels as lists of -1..1 floats) of a 16-bit PCM file; refuses anything half-written."""
    stream = io.BytesIO(data)
    riff, size, wave = struct.unpack("<4sI4s", stream.read(12))
    if riff != b"RIFF" or wave != b"WAVE" or size + 8 != len(data):
        raise ValueError("not a whole WAV file")
    rate = channels = None
    while header := stream.read(8):
        name, length = struct.unpack("<4sI", header)
        body = stream.read(length + (length & 1))
        if name == b"fmt ":
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if kind not in (1, 0xFFFE) or bits != 16:
                raise ValueError(f"WAV kind {kind}, {bits} bits")
        elif name == b"data":
            count = length // 2
            samples = struct.unpack(f"<{count}h", body[:count * 2])
            return rate, [[s / 32768 for s in samples[c::channels]] for c in range(channels)]
    raise ValueError("no samples in the file")


HANN = [0.5 - 0.5 * math.cos(2 * math.pi * i / WINDOW) for i in range(WINDOW)]
HANN_SUM = sum(HANN)


def level_db(samples, rate, hz):
    """Level of one frequency in a window of WINDOW samples, dBFS of a sine's peak over full scale, rms-like (-3 dB)."""
    w = 2 * math.cos(2 * math.pi * hz / rate)
    a = b = 0.0
    for x, h in zip(samples, HANN):
        a, b = x * h + w * a - b, a
    power = a * a + b * b - w * a * b
    amplitude = 2 * math.sqrt(max(power, 0.0)) / HANN_SUM
    return 20 * math.log10(max(amplitude, 1e-9))


def audible(channel, rate, first, last):
    """For each 200 ms window that lies within [first, last] seconds: the levels of the lab's tones."""
    start = int(math.ceil(first * rate))
    while start + WINDOW <= min(len(channel), int(last * rate)):
        window = channel[start:start + WINDOW]
        yield start / rate, {who: level_db(window, rate, hz) for who, hz in TONES.items()}
        start += WINDOW


def check_voices(segment, oracle, when, rate, channels):
    """Every part must have been long enough to judge; whoever is not wanted in it must not be there."""
    problems = []
    begin = seconds(segment["started_at"])
    for part in oracle["voices"]:
        first = when(part["from"]) - begin + GUARD_S
        last = when(part["to"]) - begin - GUARD_S
        judged = 0
        for name, channel in zip(("said", "heard"), channels):
            wanted = set(part[name])
            sung = {TONES[who] for who in wanted}
            for at, levels in audible(channel, rate, max(first, 0), last):
                judged += 1
                for who, level in levels.items():
                    if who in wanted and level < PRESENT_DB:
                        problems.append(f"{oracle['segment']} {name} at {at:.1f} s: {who} missing ({level:.0f} dB)")
                    if TONES[who] not in sung and level > ABSENT_DB:
                        problems.append(f"{oracle['segment']} {name} at {at:.1f} s: {who} audible ({level:.0f} dB)")
        if judged == 0:
            problems.append(f"{oracle['segment']}: nothing to judge from {part['from']} to {part['to']}")
    return problems[:6]


def merged_gaps(gaps):
    """Unbroken runs of queue, treatment and ringing as one 'queue', as the oracle words them."""
    out = []
    for gap in sorted(gaps, key=lambda g: g["from"]):
        reason = "queue" if gap["reason"] in QUEUE else gap["reason"]
        first, last = seconds(gap["from"]), seconds(gap["to"])
        if out and out[-1][2] == reason and abs(first - out[-1][1]) < 0.05:
            out[-1] = (out[-1][0], last, reason)
        else:
            out.append((first, last, reason))
    return [gap for gap in out if gap[1] - gap[0] > 0.02]


class Check:
    """One scenario's oracle against one recording. `times` are seconds since 1970 on the root site's clock; `people` says
    which address each person has; segments in `left_out` are not asked for in this world."""

    def __init__(self, oracle, times, people, recording, media, left_out=()):
        self.oracle, self.times, self.people, self.recording, self.media = oracle, times, people, recording, media
        self.segments = [s for s in oracle["segments"] if s["segment"] not in left_out]
        self.problems, self.edges = [], []

    def when(self, name):
        """A moment of the oracle: "t5", or "t5x if london left the loop, else t6", where t5x is there if it did."""
        first, _, rest = name.partition(" if ")
        return self.times[first] if not rest or first in self.times else self.times[rest.rpartition(" ")[2]]

    def note(self, text):
        self.problems.append(text)

    def near(self, what, got, wanted):
        if got is None:
            return self.note(f"{what} is not there")
        delta = seconds(got) - wanted
        self.edges.append((what, delta))
        if abs(delta) > EDGE_S:
            self.note(f"{what} is {delta * 1000:+.0f} ms off the signalling")
        return None

    def party(self, party_id):
        address = next((p["address"] for p in self.recording["parties"] if p["id"] == party_id), "?")
        return next((who for who, user in self.people.items() if user == address), address)

    def match_calls(self):
        """Symbolic call -> calluuid, by site and order of start; the number of calls must be the oracle's."""
        shown = sorted(self.recording["calls"], key=lambda c: (c["started_at"] or "", c["calluuid"]))
        if len(shown) != len(self.oracle["calls"]):
            self.note(f"{len(shown)} calls shown, {len(self.oracle['calls'])} wanted")
        names = {}
        for wanted in self.oracle["calls"]:
            found = next((c for c in shown if c["site"] == wanted["site"] and c["calluuid"] not in names.values()), None)
            if found is None:
                self.note(f"call {wanted['call']} at {wanted['site']} is not shown")
            else:
                names[wanted["call"]] = found["calluuid"]
        if names.get(self.oracle["calls"][0]["call"]) != self.recording["id"]:
            self.note("the recording-id is not the root call's calluuid")
        return names

    def check_calls(self, names):
        for wanted in self.oracle["calls"]:
            name = wanted["call"]
            shown = next((c for c in self.recording["calls"] if c["calluuid"] == names.get(name)), None)
            if shown is None:
                continue
            self.near(f"call {name} start", shown["started_at"], self.when(wanted["from"]))
            self.near(f"call {name} end", shown["ended_at"], self.when(wanted["to"]))
            for key in ("consult_of", "merged_into"):
                if shown[key] != names.get(wanted.get(key)):
                    self.note(f"call {name}: {key} is {shown[key]}, not {wanted.get(key)}")

    def check_links(self, names):
        if len(self.recording["links"]) != len(self.oracle["links"]):
            self.note(f"{[x['kind'] for x in self.recording['links']]} links shown, "
                      f"{[x['kind'] for x in self.oracle['links']]} wanted")
        ids = {}
        for wanted in self.oracle["links"]:
            ends = (names.get(wanted["from_call"]), names.get(wanted["to_call"]))
            link = next((x for x in self.recording["links"] if (x["from"], x["to"]) == ends), None)
            if link is None:
                self.note(f"link {wanted['link']} is not shown")
                continue
            ids[wanted["link"]] = link["id"]
            self.check_link(wanted, link, ids)

    def check_link(self, wanted, link, ids):
        name = f"link {wanted['link']}"
        if link["kind"] != wanted["kind"]:
            self.note(f"{name} is of kind {link['kind']}, not {wanted['kind']}")
        self.near(f"{name} begin", link["at"], self.when(wanted["at"]))
        if "ended" in wanted:
            self.near(f"{name} end", link["ended_at"], self.when(wanted["ended"]))
        if link["moved_from"] != ids.get(wanted.get("moved_from")):
            self.note(f"{name} is moved from {link['moved_from']}, not {wanted.get('moved_from')}")
        rules = {e["rule"] for e in link["evidence"]}
        if not rules or not all(e["value"] and e["source"] for e in link["evidence"]):
            self.note(f"{name} lacks evidence")
        # A moved link is one site's own knowledge: its header travelled under the link that it was moved from.
        sites = {c["calluuid"]: c["site"] for c in self.recording["calls"]}
        is_between = sites.get(link["from"]) != sites.get(link["to"]) and "moved_from" not in wanted
        if is_between and not (len(link["evidence"]) >= 2 and "signed-header" in rules):
            self.note(f"{name} does not show both halves: {sorted(rules)}")

    def match_segments(self, calls):
        """(wanted, shown) pairs: of the same party at the same site, the call's own first, then whichever began nearest."""
        left = list(self.recording["segments"])
        if len(left) != len(self.segments):
            self.note(f"{len(left)} segments shown, {len(self.segments)} wanted")
        for wanted in self.segments:
            fitting = [s for s in left if s["site"] == wanted["site"] and self.party(s["recorded_party"]) == wanted["recorded"]]
            if not fitting:
                self.note(f"no segment {wanted['segment']} of {wanted['recorded']} at {wanted['site']}")
                continue
            begin = self.when(wanted["from"])
            found = min(fitting, key=lambda s: (s["calluuid"] != calls.get(wanted["call"]),
                                                abs(seconds(s["started_at"]) - begin) if s["started_at"] else math.inf))
            left.remove(found)
            yield wanted, found

    def check_segment(self, wanted, segment, calls):
        name = wanted["segment"]
        if segment["calluuid"] != calls.get(wanted["call"]):
            self.note(f"{name} is of another call than {wanted['call']}")
        if segment["state"] != "stored":
            return self.note(f"{name} is {segment['state']}")
        self.near(f"{name} start", segment["started_at"], self.when(wanted["from"]))
        self.near(f"{name} end", segment["ended_at"], self.when(wanted["to"]))
        data = self.media(segment["media"]["url"])
        if hashlib.sha256(data).hexdigest() != segment["media"]["sha256"] or len(data) != segment["media"]["bytes"]:
            self.note(f"{name}: what is served is not what was stored")
        rate, channels = read_wav(data)
        if len(channels) != 2 or segment["channels"] != ["said", "heard"]:
            return self.note(f"{name} has {len(channels)} channels")
        if abs(len(channels[0]) / rate * 1000 - segment["duration_ms"]) > 20:
            self.note(f"{name}: {len(channels[0]) / rate * 1000:.0f} ms of sound, {segment['duration_ms']} ms said")
        self.problems += check_voices(segment, wanted, self.when, rate, channels)
        return self.check_timeline(wanted, segment)

    def check_timeline(self, wanted, segment):
        begin = seconds(segment["started_at"])
        for part in wanted["voices"]:
            middle = (self.when(part["from"]) + self.when(part["to"])) / 2 - begin
            where = f"{wanted['segment']} at {middle:.1f} s"
            entry = next((t for t in segment["timeline"] if t["from_ms"] <= middle * 1000 < t["to_ms"]), None)
            if entry is None:
                self.note(f"{where}: the timeline says nothing")
                continue
            shown = {self.party(p) for p in entry["parties"]} | {wanted["recorded"]}
            others = set(part["said"]) | set(part["heard"]) | {wanted["recorded"]}
            held = {self.party(p) for p in entry["held"]}
            if part.get("label", "talk") != entry["label"]:
                self.note(f"{where} is labelled {entry['label']}")
            if shown != others:
                self.note(f"{where}: parties {sorted(shown)}, wanted {sorted(others)}")
            if held != set(part.get("held", [])):
                self.note(f"{where}: held {sorted(held)}, wanted {part.get('held', [])}")

    def check_gaps(self):
        shown = merged_gaps(self.recording["gaps"])
        wanted = [(self.when(g["from"]), self.when(g["to"]), g["reason"]) for g in self.oracle["gaps"]]
        if [g[2] for g in shown] != [g[2] for g in wanted]:
            return self.note(f"gaps {[(g['reason'], g['from'], g['to']) for g in self.recording['gaps']]}, "
                             f"wanted {[g[2] for g in wanted]}")
        for (first, last, reason), (from_, to, _) in zip(shown, wanted):
            if abs(first - from_) > EDGE_S or abs(last - to) > EDGE_S:
                self.note(f"gap {reason}: {first - from_:+.3f} s and {last - to:+.3f} s off")
        return None

    def run(self):
        if self.recording["state"] != "complete":
            self.note(f"the recording is {self.recording['state']}")
        calls = self.match_calls()
        self.check_calls(calls)
        self.check_links(calls)
        for wanted, found in self.match_segments(calls):
            self.check_segment(wanted, found, calls)
        self.check_gaps()
        for alias in calls.values():
            if alias != self.recording["id"] and alias not in self.recording["aliases"]:
                self.note(f"{alias} is no alias of the recording")
        return self.problems
