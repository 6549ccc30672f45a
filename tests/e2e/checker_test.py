# SPDX-License-Identifier: Apache-2.0
"""The checker itself: a recording made from the oracle passes, and every single thing wrong with it is found."""
import array
import copy
import datetime
import functools
import hashlib
import io
import math
import unittest
import wave

from harness import scenarios
from lab.checker import Check
from lab.people import TONES

RATE = 8000
PEOPLE = {"C": "+447700900123", "A1": "1001", "A2": "2001"}
START = 1_767_605_400.0


def text(at):
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"


@functools.lru_cache(maxsize=None)
def sound(speakers, duration_s):
    amplitude = 10 ** (-16 / 20) * 32767
    return array.array("h", (round(sum(amplitude * math.sin(2 * math.pi * TONES[who] * i / RATE) for who in speakers))
                             for i in range(round(duration_s * RATE))))


def wav(said, heard):
    both = array.array("h", [s for pair in zip(said, heard) for s in pair])
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(both.tobytes())
    return stream.getvalue()


class Made:
    """An archive's answer that is what the oracle demands; parts last a second each."""

    def __init__(self, scenario):
        self.oracle = copy.deepcopy(scenarios.oracle_of(scenario))
        self.times = {f"t{n}": START + n for n in range(9)}
        check = Check(self.oracle, self.times, PEOPLE, {}, None)
        when = check.when
        self.files = {}
        calls = self.oracle["calls"]
        self.recording = {
            "id": calls[0]["call"], "aliases": [c["call"] for c in calls[1:]], "state": "complete",
            "calls": [{"calluuid": c["call"], "site": c["site"], "started_at": text(when(c["from"])),
                       "ended_at": text(when(c["to"])), "consult_of": c.get("consult_of"),
                       "merged_into": c.get("merged_into")} for c in calls],
            "links": [self.link(link, when) for link in self.oracle["links"]],
            "parties": [{"id": who, "address": address} for who, address in PEOPLE.items()],
            "segments": [self.segment(s, when) for s in self.oracle["segments"]],
            "gaps": [{"from": text(when(g["from"])), "to": text(when(g["to"])), "reason": g["reason"]}
                     for g in self.oracle["gaps"]],
        }

    def link(self, wanted, when):
        evidence = [{"rule": "own", "source": "test", "value": "x"}, {"rule": "signed-header", "source": "test", "value": "x"}]
        return {"id": wanted["link"], "from": wanted["from_call"], "to": wanted["to_call"], "kind": wanted["kind"],
                "at": text(when(wanted["at"])), "ended_at": text(when(wanted["ended"])) if "ended" in wanted else None,
                "moved_from": wanted.get("moved_from"), "evidence": evidence}

    def segment(self, wanted, when):
        said, heard, timeline = array.array("h"), array.array("h"), []
        begin = when(wanted["from"])
        for part in wanted["voices"]:
            first, last = when(part["from"]) - begin, when(part["to"]) - begin
            said += sound(tuple(part["said"]), last - first)
            heard += sound(tuple(part["heard"]), last - first)
            timeline.append({"from_ms": round(first * 1000), "to_ms": round(last * 1000), "label": part.get("label", "talk"),
                             "parties": sorted({wanted["recorded"], *part["said"], *part["heard"]}),
                             "held": part.get("held", [])})
        url = f"/v1/segments/{wanted['segment']}/media"
        segment = {"calluuid": wanted["call"], "site": wanted["site"], "recorded_party": wanted["recorded"],
                   "started_at": text(begin), "ended_at": text(when(wanted["to"])), "state": "stored",
                   "duration_ms": round((when(wanted["to"]) - begin) * 1000), "channels": ["said", "heard"],
                   "timeline": timeline, "media": {"url": url}}
        self.put(segment, wav(said, heard))
        return segment

    def put(self, segment, data):
        self.files[segment["media"]["url"]] = data
        segment["media"].update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    def problems(self, left_out=()):
        return Check(self.oracle, self.times, PEOPLE, self.recording, self.files.get, left_out).run()


def ids():
    return [s["id"] for s in scenarios.ORACLE["scenarios"] + scenarios.ORACLE["also"]]


class Checker(unittest.TestCase):
    def test_what_the_oracle_demands_passes(self):
        for scenario in ids():
            self.assertEqual(Made(scenario).problems(), [], scenario)

    def wrong(self, scenario, words, change):
        made = Made(scenario)
        change(made)
        problems = made.problems()
        self.assertTrue(any(words in p for p in problems), f"{scenario}, {words}: {problems}")

    def test_every_wrong_time_is_found(self):
        late = text(START + 50)
        for scenario in ids():
            shown = Made(scenario).recording
            for kind, keys in (("calls", ("started_at", "ended_at")), ("segments", ("started_at", "ended_at")),
                               ("links", ("at",)), ("gaps", ("from", "to"))):
                for i in range(len(shown[kind])):
                    for key in keys:
                        made = Made(scenario)
                        made.recording[kind][i][key] = late
                        self.assertNotEqual(made.problems(), [], f"{scenario}: {kind}[{i}].{key}")

    def test_what_is_too_many_or_too_few_is_found(self):
        for scenario in ids():
            for kind in ("calls", "links", "segments", "gaps", "aliases"):
                made = Made(scenario)
                if not made.recording[kind]:
                    continue
                made.recording[kind].pop()
                self.assertNotEqual(made.problems(), [], f"{scenario}: one of {kind} is gone")
            for kind in ("calls", "links", "segments", "gaps"):
                made = Made(scenario)
                made.recording[kind].append(copy.deepcopy(made.recording[kind][-1]))
                self.assertNotEqual(made.problems(), [], f"{scenario}: one of {kind} twice")

    def test_calls_that_merged_or_were_consults_say_so(self):
        def forget(key):
            return lambda made: made.recording["calls"][1].update({key: None})
        self.wrong("consult-transfer", "consult_of", forget("consult_of"))
        self.wrong("consult-transfer", "merged_into", forget("merged_into"))
        self.wrong("consult-transfer", "merged_into", lambda m: m.recording["calls"][2].update(merged_into="U1"))

    def test_links_say_kind_move_end_and_evidence(self):
        def link(i, **fields):
            return lambda made: made.recording["links"][i].update(fields)
        self.wrong("consult-transfer", "of kind", link(2, kind="route"))
        self.wrong("consult-transfer", "moved from", link(2, moved_from=None))
        self.wrong("consult-transfer", "moved from", link(1, moved_from="LC"))
        self.wrong("consult-transfer", "end is not there", link(0, ended_at=None))
        self.wrong("consult-transfer", "evidence", link(0, evidence=[]))
        self.wrong("consult-transfer", "both halves", lambda m: m.recording["links"][1]["evidence"].pop())

    def test_a_timeline_says_who_and_who_is_held(self):
        def entry(scenario_segment, part, **fields):
            return lambda made: made.recording["segments"][scenario_segment]["timeline"][part].update(fields)
        self.wrong("consult-transfer", "labelled", entry(0, 1, label="talk"))
        self.wrong("consult-transfer", "held", entry(0, 1, held=[]))
        self.wrong("consult-transfer", "parties", entry(0, 1, parties=["A1", "C"]))
        self.wrong("consult-transfer", "held", entry(2, 1, held=["A1"]))
        self.wrong("single-step-conference", "parties", entry(0, 1, parties=["A1", "C"]))
        self.wrong("two-step-conference", "says nothing", lambda m: m.recording["segments"][2]["timeline"].pop())

    def test_whoever_is_audible_where_he_is_not_wanted_is_found(self):
        def speaking(segment, said, heard):
            def change(made):
                shown = made.recording["segments"][segment]
                duration = shown["duration_ms"] / 1000
                made.put(shown, wav(sound(said, duration), sound(heard, duration)))
            return change
        self.wrong("single-step-transfer", "said at 0.2 s: A2 audible", speaking(0, ("A1", "A2"), ("C",)))
        self.wrong("single-step-transfer", "heard at 0.2 s: C missing", speaking(0, ("A1",), ()))
        self.wrong("central-queue", "F2 heard at 0.2 s: A1 audible", speaking(1, ("A2",), ("C", "A1")))
        # While C is on hold nobody may be heard.
        self.wrong("consult-transfer", "F1 heard at 1.2 s: C audible", speaking(0, (), ("C",)))

    def test_two_segments_of_one_call_are_told_apart(self):
        made = Made("central-queue")
        made.recording["segments"].reverse()
        self.assertEqual(made.problems(), [])

    def test_segments_that_are_not_asked_for_are_not_missed(self):
        made = Made("consult-transfer")
        made.recording["segments"] = [s for s in made.recording["segments"] if "F1c" not in s["media"]["url"]]
        self.assertEqual(made.problems({"F1c"}), [])
        self.assertNotEqual(made.problems(), [])

    def test_a_call_ends_when_london_has_left_or_with_the_rest(self):
        made = Made("consult-transfer")
        made.times["t5x"] = START + 5.5
        self.assertTrue(any("call U1 end" in p for p in made.problems()))
        made.recording["calls"][0]["ended_at"] = text(START + 5.5)
        self.assertEqual(made.problems(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
