# SPDX-License-Identifier: Apache-2.0
"""Scenario 1 with other people's software: SIPp is the customer, baresip (digest, REFER) both agents."""
import math
import os
import pathlib
import re
import subprocess
import time
import unittest

import own_network
from harness import ADDRESSES, NUMBERS, PORT_BASE, LabTest, scenarios
from lab.baresip import Baresip
from lab.people import TONES

HERE = pathlib.Path(__file__).resolve().parent


def ulaw(sample):
    """ITU-T G.711, from its definition: sign, exponent, mantissa of the biased magnitude, inverted."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 15) & 0xFF


def write_tone(path, hz, duration_s=4):
    amplitude = 10 ** (-16 / 20) * 32767
    path.write_bytes(bytes(ulaw(round(amplitude * math.sin(2 * math.pi * hz * i / 8000)))
                           for i in range(8000 * duration_s)))


class Phones(LabTest):
    def agent(self, name, site, dn, port):
        # baresip's RTP leaves from the address the kernel picks, 127.0.0.1 on loopback, whatever it was told.
        phone = Baresip(self.world.folder, name, "127.0.0.1", (port, port + 5, port + 10), dn,
                        self.world.passwords[dn], f"{ADDRESSES[site]}:{PORT_BASE}", TONES[name],
                        self.world.folder / f"baresip-{name}.log")
        self.addCleanup(phone.close)
        phone.send("auplay", "aubridge,nil")
        self.world.wait_for(f"{dn} at {site}", lambda: self.world.agent_state(site, dn) == "not-ready")
        return phone

    def customer(self, number, hang_up_after_ms):
        folder = self.world.folder / "sipp"
        folder.mkdir()
        write_tone(folder / "c.ulaw", TONES["C"])
        # A tone of whole seconds repeats without a click: 467 periods a second.
        scenario = (HERE / "customer.xml").read_text().replace("TONE_FILE", f"{folder}/c.ulaw")
        scenario = scenario.replace("HANG_UP_MS", str(hang_up_after_ms)).replace("+447700900123", number)
        (folder / "customer.xml").write_text(scenario)
        log = open(folder / "out.log", "ab")
        self.addCleanup(log.close)
        popen = subprocess.Popen(
            ["sipp", f"{ADDRESSES['london']}:{PORT_BASE}", "-i", ADDRESSES["carrier"], "-p", str(PORT_BASE),
             "-sf", str(folder / "customer.xml"), "-s", NUMBERS["london"], "-m", "1",
             "-mp", str(PORT_BASE + 960), "-mi", ADDRESSES["carrier"],
             "-trace_msg", "-message_file", str(folder / "messages.log"), "-nostdin", "-timeout", "60"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env={**os.environ, "TERM": "dumb"})
        self.addCleanup(lambda: popen.poll() is None and popen.kill())
        self.messages = folder / "messages.log"
        return popen

    def moment(self, pattern):
        """When SIPp sent or received the first message that matches, from its trace."""
        text = self.messages.read_text(errors="replace") if self.messages.exists() else ""
        for block in re.split(r"^-{20,}\s", text, flags=re.M)[1:]:
            head, _, message = block.partition("\n")
            if re.search(pattern, message, re.M):
                return time.mktime(time.strptime(head[:19], "%Y-%m-%d %H:%M:%S")) + float("0." + head[20:26])
        return None

    def test_sipp_calls_and_baresip_transfers_to_baresip(self):
        world = self.make_world()
        stage = scenarios.Stage(world, phones=())
        self.addCleanup(stage.close)
        times = stage.times
        a1 = self.agent("A1", "london", "1001", PORT_BASE + 850)
        a2 = self.agent("A2", "paris", "2001", PORT_BASE + 900)
        sipp = self.customer(stage.number, hang_up_after_ms=7000)
        times["t0"] = world.wait_for("SIPp's call", lambda: self.moment(r"^ACK "))
        scenarios.talk(0.6)
        world.set_agent("london", "1001", "ready")
        a1.wait("CALL_INCOMING")
        a1.send("accept")
        times["t1"] = a1.wait("CALL_ESTABLISHED")["at"]
        world.set_agent("london", "1001", "not-ready")
        scenarios.talk()
        mark = a1.mark()
        a1.send("transfer", f"sip:8000@{ADDRESSES['london']}:{PORT_BASE}")
        times["t2"] = a1.wait("CALL_CLOSED", mark)["at"]
        scenarios.talk(0.6)
        world.set_agent("paris", "2001", "ready")
        times["t3"] = a2.wait("CALL_INCOMING")["at"]
        a2.send("accept")
        times["t4"] = a2.wait("CALL_ESTABLISHED")["at"]
        self.assertEqual(sipp.wait(30), 0, "SIPp's scenario failed")
        times["t5"] = self.moment(r"^BYE ")
        recording, problems, _ = scenarios.judge(stage, scenarios.oracle_of("single-step-transfer"))
        self.assertEqual(problems, [], recording)

    def test_baresip_holds_and_takes_back(self):
        world = self.make_world()
        stage = scenarios.Stage(world, phones=("C",))
        self.addCleanup(stage.close)
        people, times = stage.people, stage.times
        a1 = self.agent("A1", "london", "1001", PORT_BASE + 850)
        since = people.call("C", stage.queue()[1], "london")
        stage.at("t0", people.wait("C", "established", since))
        scenarios.talk(0.6)
        world.set_agent("london", "1001", "ready")
        a1.wait("CALL_INCOMING")
        a1.send("accept")
        times["t1"] = a1.wait("CALL_ESTABLISHED")["at"]
        people.hears("C", "A1", since=since)
        scenarios.talk()
        for command, name, heard in (("hold", "t2", []), ("resume", "t3", ["A1"])):
            since = people.mark()
            times[name] = time.time()
            a1.send(command)
            people.hears("C", *heard, since=since)
            scenarios.talk()
        since = people.tell("C", "hangup")
        stage.at("t4", people.wait("C", "ended", since))

        talks = {"said": ["A1"], "heard": ["C"]}
        oracle = {"calls": [{"call": "U1", "site": "london", "from": "t0", "to": "t4"}], "links": [],
                  "gaps": [{"from": "t0", "to": "t1", "reason": "queue"}, {"from": "t2", "to": "t3", "reason": "hold"}],
                  "segments": [{"segment": "F1", "site": "london", "recorded": "A1", "call": "U1", "from": "t1", "to": "t4",
                                "voices": [{"from": "t1", "to": "t2", **talks},
                                           {"from": "t2", "to": "t3", "said": [], "heard": [], "label": "hold", "held": ["C"]},
                                           {"from": "t3", "to": "t4", **talks}]}]}
        recording, problems, _ = scenarios.judge(stage, oracle)
        self.assertEqual(problems, [], recording)


if __name__ == "__main__":
    own_network.enter()
    unittest.main(verbosity=2)
