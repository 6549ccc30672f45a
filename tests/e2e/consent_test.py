# SPDX-License-Identifier: Apache-2.0
"""Consent: an announcement and a tone are heard, are in the file, and are among the recording's events; or are missing, and why."""
import math
import unittest

from harness import BUILD
from lanes import Lanes

from lab import scenarios
from lab.checker import level_db, read_wav, seconds, WINDOW
from lab.scenarios import take_call, talk
from lab.stage import Stage, dn_for

TONE_HZ = 1400
TONE_MS = 2000
FRAME = 160


def loudness(samples):
    """Of each 20 ms, by its root mean square."""
    return [math.sqrt(sum(x * x for x in samples[at:at + FRAME]) / FRAME) for at in range(0, len(samples) - FRAME + 1, FRAME)]


def likeness(prompt, channel, within_s):
    """How well the prompt's loudness over time fits the channel's begin, at the best place: 1 is the same."""
    def fit(a, b):
        mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
        top = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b))
        bottom = math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))
        return top / bottom if bottom > 1e-9 else 0.0

    wanted, there = loudness(prompt), loudness(channel)
    places = range(min(int(within_s * 50), len(there) - len(wanted)))
    return max((fit(wanted, there[at:at + len(wanted)]) for at in places), default=0.0)


def beeps(channel, rate):
    """Seconds at which the tone begins: windows in which it is, half overlapping, those that touch as one."""
    found = []
    for start in range(0, len(channel) - WINDOW + 1, WINDOW // 2):
        if level_db(channel[start:start + WINDOW], rate, TONE_HZ) > -30:
            at = start / rate
            if not found or at - found[-1][1] > 0.35:
                found.append([at, at])
            found[-1][1] = at
    return [first for first, _ in found]


def one_talk(stage):
    people = stage.people
    since = people.call("C", stage.queue()[1], "london")
    stage.at("t0", people.wait("C", "established", since))
    _, established = take_call(stage, "A1", since)
    stage.at("t1", established)
    people.hears("A1", "C", since=since)
    talk(2 * TONE_MS / 1000 + 1.5)
    mark = people.tell("C", "hangup")
    stage.at("t2", people.wait("C", "ended", mark))
    people.wait("A1", "ended", mark)


def then_to_paris(stage):
    """A1 is not recorded, because nobody could be told; A2 is."""
    people = stage.people
    since = scenarios.head(stage)
    talk()
    people.send(cmd="refer", phone="A1", to=stage.queue_uri())
    stage.at("t2", people.wait("A1", "ended", since))
    scenarios.a2_answers(stage, ["C"])
    talk()
    scenarios.hang_up(stage, "t5")


def play(script, **how):
    def run(world, lane):
        stage = Stage(world, lane, **how)
        try:
            script(stage)
        finally:
            stage.close()
        recording = stage.new_recording()
        return {**recording, "stage": stage}, []
    return run


PLAYS = {"both": one_talk, "customer": one_talk, "not to be had": one_talk, "required": then_to_paris, "by trunk": one_talk,
         "by routing point": one_talk}
LINES = {"both": ['consent=["say:recorded"]', 'consent_to="both"', f"consent_tone_ms={TONE_MS}", "consent_required=true"],
         "customer": ['consent=["say:recorded"]'],
         "not to be had": ['consent=["say:nothing"]'],
         "required": ['consent=["say:nothing"]', "consent_required=true"]}
OF_TRUNK = ['consent=["say:recorded"]', f"consent_tone_ms={TONE_MS}"]
OF_POINT = ['consent=["say:recorded"]', 'consent_to="agent"']


def is_point(site, lane):
    return site == "london" and lane == list(PLAYS).index("by routing point")


class Consent(Lanes):
    plays = {name: play(script, carrier="keeper" if name == "by trunk" else "carrier") for name, script in PLAYS.items()}
    options = {"agent": {dn_for("A1", "london", lane): LINES.get(name, []) for lane, name in enumerate(PLAYS)},
               "record": {dn_for("A1", "london", lane): "never" for lane, name in enumerate(PLAYS) if name.startswith("by ")},
               "trunk": {"keeper": OF_TRUNK}, "record_trunk": {"keeper": "always"},
               "record_point": lambda site, lane: "always" if is_point(site, lane) else "never",
               "routing_point": lambda site, lane: OF_POINT if is_point(site, lane) else []}

    def setUp(self):
        _, prompt = read_wav((BUILD / "prompts/say/recorded.wav").read_bytes())
        self.prompt = prompt[0]

    def file(self, recording):
        segment = recording["segments"][0]
        self.assertEqual(segment["state"], "stored")
        rate, channels = read_wav(self.world.archive(segment["media"]["url"], raw=True)[1])
        return segment, rate, channels

    @staticmethod
    def told(recording, event):
        """(address of who heard it, seconds since the segment's begin) of each such event."""
        begin = seconds(recording["segments"][0]["started_at"])
        address = {p["id"]: p["address"] for p in recording["parties"]}
        return [(address[e["party"]], seconds(e["at"]) - begin) for e in recording["events"] if e["event"] == event]

    def consent_events(self, recording, event):
        return [(who, at) for who, at in self.told(recording, event) if at > 0]

    def test_told_to_both_it_is_in_the_file_and_among_the_events(self):
        recording = self.played("both")
        stage = recording["stage"]
        segment, rate, (said, heard) = self.file(recording)
        self.assertGreater(likeness(self.prompt, heard, 0.3), 0.9)
        self.assertLess(likeness(self.prompt, said, 0.3), 0.5)
        both = sorted([stage.number, stage.dns["A1"]])
        played = self.consent_events(recording, "announcement-played")
        self.assertEqual(sorted(who for who, _ in played), both)
        for _, at in played:
            self.assertLess(abs(at - len(self.prompt) / rate), 0.25)
        tones = self.consent_events(recording, "tone-started")
        self.assertEqual(sorted(who for who, _ in tones), both)
        self.assertEqual(sorted(who for who, _ in self.consent_events(recording, "tone-stopped")), both)
        found = beeps(heard, rate)
        self.assertGreaterEqual(len(found), 3, found)
        first = next(at for who, at in tones if who == stage.dns["A1"])
        for number, at in enumerate(found):
            self.assertLess(abs(at - first - number * TONE_MS / 1000), 0.2, (found, tones))
        self.assertEqual(beeps(said, rate), [])
        self.assertLess(abs(seconds(segment["started_at"]) - stage.times["t1"]), 0.25)

    def test_told_to_the_customer_only_the_agents_file_does_not_hold_it(self):
        recording = self.played("customer")
        _, _, (said, heard) = self.file(recording)
        self.assertLess(likeness(self.prompt, heard, 0.3), 0.5)
        self.assertEqual([who for who, _ in self.consent_events(recording, "announcement-played")],
                         [recording["stage"].number])
        self.assertEqual(self.told(recording, "tone-started"), [])

    def test_asked_for_by_a_trunk_its_customer_is_told_before_the_queue(self):
        recording = self.played("by trunk")
        stage = recording["stage"]
        segment, rate, (said, heard) = self.file(recording)
        self.assertEqual(len(recording["segments"]), 1)
        self.assertLess(abs(seconds(segment["started_at"]) - stage.times["t0"]), 0.25)
        self.assertGreater(likeness(self.prompt, heard, 0.3), 0.9)
        self.assertLess(likeness(self.prompt, said, 0.3), 0.5)
        first = min(at for who, at in self.consent_events(recording, "announcement-played") if who == stage.number)
        self.assertLess(abs(first - len(self.prompt) / rate), 0.25)
        tones = self.consent_events(recording, "tone-started")
        self.assertEqual([who for who, _ in tones], [stage.number])
        found = beeps(heard, rate)
        self.assertGreaterEqual(len(found), 3, found)
        self.assertLess(abs(found[0] - tones[0][1]), 0.2, (found, tones))

    def test_asked_for_by_a_routing_point_whoever_it_routes_to_is_told(self):
        recording = self.played("by routing point")
        stage = recording["stage"]
        segment, _, (said, heard) = self.file(recording)
        self.assertEqual(len(recording["segments"]), 1)
        self.assertLess(abs(seconds(segment["started_at"]) - stage.times["t1"]), 0.25)
        self.assertGreater(likeness(self.prompt, heard, 0.3), 0.9)
        self.assertLess(likeness(self.prompt, said, 0.3), 0.5)
        self.assertEqual([who for who, _ in self.consent_events(recording, "announcement-played")], [stage.dns["A1"]])

    def test_what_cannot_be_played_is_recorded_and_no_event(self):
        recording = self.played("not to be had")
        segment, _, _ = self.file(recording)
        self.assertEqual(self.consent_events(recording, "announcement-played"), [])
        self.assertLess(abs(seconds(segment["started_at"]) - recording["stage"].times["t1"]), 0.25)

    def test_where_it_is_required_nothing_is_recorded_and_the_gap_says_why(self):
        recording = self.played("required")
        self.assertEqual([s["site"] for s in recording["segments"]], ["paris"])
        gaps = [g for g in recording["gaps"] if g["reason"] == "not-selected"]
        self.assertEqual([g["detail"] for g in gaps], ["say:nothing could not be played"])
        stage = recording["stage"]
        self.assertLess(abs(seconds(gaps[0]["from"]) - stage.times["t1"]), 0.25)
        self.assertLess(abs(seconds(gaps[0]["to"]) - stage.times["t2"]), 0.25)


if __name__ == "__main__":
    unittest.main(verbosity=2)
