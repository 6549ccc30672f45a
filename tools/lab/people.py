# SPDX-License-Identifier: Apache-2.0
"""Simulated people: drives `sheaf-lab` (real SIP and RTP, a tone each) and waits for what its phones report."""
import json
import subprocess
import threading
import time

from .world import ADDRESSES

# A3 comes in where A1 has long left, and has that tone.
TONES = {"C": 467, "A1": 619, "A2": 853, "A3": 619}

PHONES_A_LANE = 2      # at one address
RTP_PORTS_A_PHONE = 8  # even ones for four calls


class People:
    """The people of one lane of a world: their ports are the lane's."""

    def __init__(self, world, log=None, lane=0):
        self.world, self.lane = world, lane
        self.log = open(log or world.folder / f"lab{lane or ''}.log", "ab")
        self.popen = subprocess.Popen([str(world.build / "sheaf-lab")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=self.log, text=True, bufsize=1, start_new_session=True)
        self.events = []
        self.changed = threading.Condition()
        self.phones = {}
        self.next_sip = {}
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.popen.stdout:
            event = json.loads(line)
            self.log.write(line.encode())
            self.log.flush()
            with self.changed:
                self.events.append(event)
                self.changed.notify_all()
        with self.changed:
            self.events.append({"phone": "", "event": "gone", "at_ms": int(time.time() * 1000)})
            self.changed.notify_all()

    def send(self, **command):
        self.popen.stdin.write(json.dumps(command) + "\n")
        self.popen.stdin.flush()

    def mark(self):
        """Events from here on: pass it to `wait` to leave out what came before."""
        with self.changed:
            return len(self.events)

    def wait(self, phone, event, since=0, timeout=15, where=lambda e: True):
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                for candidate in self.events[since:]:
                    if candidate["event"] == "gone":
                        raise RuntimeError("the lab's phones are gone")
                    if candidate["phone"] == phone and candidate["event"] == event and where(candidate):
                        return candidate
                left = deadline - time.monotonic()
                if left <= 0:
                    tail = [e for e in self.events if e["phone"] == phone][-8:]
                    raise TimeoutError(f"{phone}: no '{event}' within {timeout} s; last: {tail}")
                self.changed.wait(left)

    def phone(self, name, site, user, tone_hz, password="", display="", answer="auto", answer_after_ms=600, **more):
        address = ADDRESSES[site]
        ports = self.world.ports
        number = self.next_sip.get(address, 0)
        self.next_sip[address] = number + 1
        number += PHONES_A_LANE * self.lane
        # The carrier itself is its first customer's phone; others share its address.
        sip_port = ports.sip if site in ("carrier", "keeper") and number == 0 else ports.phone_sip + number
        rtp = ports.phone_rtp[0] + RTP_PORTS_A_PHONE * number
        registrar = f"sip:{address}:{ports.sip}" if password else ""
        self.phones[name] = {"site": site, "user": user, "tone_hz": tone_hz}
        since = self.mark()
        self.send(cmd="phone", name=name, sip=f"{address}:{sip_port}",
                  rtp=f"{address}:{rtp}-{rtp + RTP_PORTS_A_PHONE - 1}", user=user, password=password,
                  display=display, registrar=registrar, tone_hz=tone_hz, answer=answer, answer_after_ms=answer_after_ms,
                  **more)
        self.wait(name, "ready", since)
        if registrar:
            self.send(cmd="register", phone=name)
            self.wait(name, "registered", since)

    def agent(self, name, site, dn, **more):
        self.phone(name, site, dn, TONES[name], password=self.world.passwords[dn], display=name, **more)

    def customer(self, name="C", user="+447700900123", carrier="carrier", **more):
        self.phone(name, carrier, user, TONES[name], display="Customer", **more)

    def call(self, name, number, site):
        since = self.mark()
        self.send(cmd="call", phone=name, to=f"sip:{number}@{ADDRESSES[site]}:{self.world.ports.sip}")
        return since

    def seen(self, phone, event):
        with self.changed:
            return [e for e in self.events if e["phone"] == phone and e["event"] == event]

    def tell(self, phone, cmd, **more):
        """Says it, and gives the mark from which on it is answered."""
        since = self.mark()
        self.send(cmd=cmd, phone=phone, **more)
        return since

    def hears(self, phone, *speakers, since=0, timeout=15):
        """Waits until `phone` hears these people and nobody else."""
        tones = sorted(TONES[who] for who in speakers)
        return self.wait(phone, "hears", since, timeout, where=lambda e: sorted(e["tones"]) == tones)

    def frames(self, phone):
        """What came of whose numbered frames since the phone was told to `mark`, by speaker."""
        answer = self.wait(phone, "frames", self.tell(phone, "frames"))
        return {who: report for report in answer["from"] for who, tone in TONES.items() if tone == report["tone"]}

    def close(self):
        if self.popen.poll() is None:
            try:
                self.send(cmd="quit")
                self.popen.stdin.close()
                self.popen.wait(5)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                self.popen.kill()
                self.popen.wait()
        self.reader.join(5)
        self.popen.stdout.close()
        self.log.close()
