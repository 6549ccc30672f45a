# SPDX-License-Identifier: Apache-2.0
"""The SIP messages of a call: the links' evidence names them, they can be opened as a capture, and outlive a restart."""
import struct
import unittest

from harness import ADDRESSES, LabTest, scenarios
from lab.stage import Stage


def packets(capture):
    """(from, to, payload) of each UDP packet of a capture file."""
    magic, *_, link = struct.unpack_from("<IHHiIII", capture)
    assert (magic, link) == (0xA1B2C3D4, 101)
    at = 24
    while at < len(capture):
        length = struct.unpack_from("<IIII", capture, at)[2]
        packet = capture[at + 16:at + 16 + length]
        at += 16 + length
        source, to = (".".join(map(str, packet[i:i + 4])) for i in (12, 16))
        header = 28 if packet[9] == 17 else 40
        yield source, to, packet[header:]


class Ladder(LabTest):
    def messages(self, call, form=""):
        status, answer = self.world.cti(call["site"], "GET", f"/v1/calls/{call['calluuid']}/messages{form}")
        self.assertEqual(status, 200, answer)
        return answer

    def capture(self, call):
        url = f"http://{ADDRESSES[call['site']]}:{self.world.ports.cti}/v1/calls/{call['calluuid']}/messages?format=pcap"
        status, capture = self.world._http("GET", url, self.world.cti_token, raw=True)
        self.assertEqual(status, 200)
        return capture

    def test_a_transfers_messages_prove_its_links_and_are_kept(self):
        world = self.make_world()
        stage = Stage(world)
        self.addCleanup(stage.close)
        scenarios.single_step_transfer(stage)
        recording = world.complete_recording()
        ladders = {call["calluuid"]: self.messages(call) for call in recording["calls"]}
        for call in recording["calls"]:
            ladder = ladders[call["calluuid"]]
            self.assertEqual(ladder["dropped"], 0)
            numbers = [message["number"] for message in ladder["messages"]]
            self.assertEqual(numbers, sorted(numbers))
            text = "".join(message["message"] for message in ladder["messages"])
            for word in ("INVITE sip:", "BYE sip:", "application/msml+xml", "SIP/2.0 200"):
                self.assertIn(word, text)
            self.assertNotIn("REGISTER sip:", text)
        ids = {message["id"] for ladder in ladders.values() for message in ladder["messages"]}
        named = [name for link in recording["links"] for proof in link["evidence"] for name in proof["messages"]]
        self.assertNotEqual(named, [])
        self.assertEqual([name for name in named if name not in ids], [])
        # The INVITE that carried the link is in both sites' ladders, and what signed it in neither.
        headers = [line for ladder in ladders.values() for message in ladder["messages"]
                   for line in message["message"].split("\r\n") if line.startswith("X-Sheaf-Link:")]
        self.assertGreaterEqual(len(headers), 2)
        self.assertTrue(all(line.endswith("mac=" + 64 * "*") for line in headers), headers)
        for call in recording["calls"]:
            seen = [(source, to, payload.decode()) for source, to, payload in packets(self.capture(call))]
            kept = ladders[call["calluuid"]]["messages"]
            self.assertEqual([payload for *_, payload in seen], [message["message"] for message in kept])
            for (source, to, _), message in zip(seen, kept):
                local, remote = (message[end].split(":")[1] for end in ("local", "remote"))
                self.assertEqual((source, to), (local, remote) if message["direction"] == "sent" else (remote, local))
        for call in recording["calls"]:
            world.processes[f"{call['site']}-switch"].stop()
            world.processes[f"{call['site']}-switch"].start()
        self.assertEqual({call["calluuid"]: self.messages(call) for call in recording["calls"]}, ladders)


if __name__ == "__main__":
    unittest.main(verbosity=2)
