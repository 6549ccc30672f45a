# SPDX-License-Identifier: Apache-2.0
"""Plays the scenarios of tests/oracle/scenarios.json with simulated people and holds the archive against the oracle."""
import json
import pathlib

from .checker import Check
from .stage import QUEUE_S, Stage, talk

ORACLE = json.loads((pathlib.Path(__file__).resolve().parents[2] / "tests/oracle/scenarios.json").read_text())


def oracle_of(scenario):
    return next(s for s in ORACLE["scenarios"] + ORACLE["also"] if s["id"] == scenario)


# ---- parts that scenarios share ---------------------------------------------------------------------------------
def head(stage, site="london", answered="t1"):
    """C calls a site's number and lands on the routing point (t0); A1 answers."""
    people = stage.people
    since = people.call("C", stage.queue(site)[1], site)
    stage.at("t0", people.wait("C", "established", since))
    talk(QUEUE_S)
    ringing, established = take_call(stage, "A1", since)
    if site != "london":
        stage.at("t3", ringing)
    stage.at(answered, established)
    people.hears("A1", "C", since=since)
    shows(stage, "C", "A1", since)
    # A1 takes no further call after this one: the transfer must reach somebody else.
    stage.not_ready("A1")
    return since


def take_call(stage, who, since):
    """Makes an agent ready for the one call that waits; (ringing, established)."""
    stage.ready(who)
    return stage.people.wait(who, "ringing", since), stage.people.wait(who, "established", since)


def a2_answers(stage, hears, rings="t3", answered="t4"):
    mark = stage.people.mark()
    ringing, established = take_call(stage, "A2", mark)
    stage.at(rings, ringing)
    stage.at(answered, established)
    stage.people.hears("A2", *hears, since=mark)
    stage.not_ready("A2")
    return mark


def hang_up(stage, name, other="A2"):
    """C does, and whoever is left is released."""
    mark = stage.people.tell("C", "hangup")
    stage.at(name, stage.people.wait("C", "ended", mark))
    stage.people.wait(other, "ended", mark)


def shows(stage, who, whom, since):
    """Connected identity: the phone of `who` was told that it talks to `whom` now."""
    stage.people.wait(who, "identity", since, where=lambda e: e["number"] == stage.users[whom])


def has_left(stage, name, since):
    """london leaves the loop: C's phone is moved by REFER and its old dialog ended by london."""
    stage.people.wait("C", "moved", since, timeout=4)
    old = stage.people.wait("C", "replaced-ended", since, timeout=4)
    if old["by"] != "them":
        raise RuntimeError(f"london did not end the replaced dialog: {old}")
    stage.at(name, old)


def consult(stage, by, hold="sendonly"):
    """A1 starts a consult to the queue (t2): C is on hold, A1 waits."""
    people = stage.people
    if by == "cti":
        mark = people.mark()
        stage.cti("A1", "consultation", to=stage.queue()[0])
        stage.now("t2")
    else:
        people.wait("A1", "held", people.tell("A1", "hold", mode=hold))
        mark = people.tell("A1", "call", to=stage.queue_uri(), call="consult")
        stage.at("t2", people.wait("A1", "calling", mark))
    return mark


def complete(stage, by, service="transfer", named="1"):
    """A1 completes. By phone: REFER in one of its dialogs (`named`), asking to replace the other."""
    mark = stage.people.mark()
    if by == "cti":
        stage.cti("A1", service)
    else:
        stage.people.send(cmd="refer", phone="A1", call=named, replaces="consult" if named == "1" else "1")
    return mark


# ---- the scenarios ----------------------------------------------------------------------------------------------
def single_step_transfer(stage, by="phone"):
    people = stage.people
    since = head(stage)
    talk()
    if by == "phone":
        people.send(cmd="refer", phone="A1", to=stage.queue_uri())
    else:
        stage.cti("A1", "single-step-transfer", to=stage.queue()[0])
    stage.at("t2", people.wait("A1", "ended", since))
    talk(QUEUE_S)
    shows(stage, "C", "A2", a2_answers(stage, ["C"]))
    talk()
    hang_up(stage, "t5")


def consult_transfer(stage, by="cti", hold="sendonly", named="1"):
    """Also consult-transfer-local: then A2 sits at london, and nobody has to leave."""
    people = stage.people
    head(stage)
    talk()
    consult(stage, by, hold)
    talk(QUEUE_S)
    mark = a2_answers(stage, ["A1"])
    people.hears("A1", "A2", since=mark)
    shows(stage, "A2", "A1", mark)
    shows(stage, "A1", "A2", mark)
    talk()
    mark = complete(stage, by, named=named)
    stage.at("t5", people.wait("A1", "ended", mark))
    people.hears("A2", "C", since=mark)
    people.hears("C", "A2", since=mark)
    shows(stage, "A2", "C", mark)
    is_local = stage.sites["A2"] == "london"
    if not is_local and stage.leaves:
        has_left(stage, "t5x", mark)
    if is_local or stage.leaves:
        shows(stage, "C", "A2", mark)
    talk()
    hang_up(stage, "t6")


def single_step_conference(stage, by="cti"):
    people = stage.people
    head(stage)
    talk()
    stage.cti("A1", "single-step-conference", to=stage.queue()[0])
    talk(QUEUE_S)
    mark = a2_answers(stage, ["C", "A1"])
    people.hears("C", "A1", "A2", since=mark)
    talk()
    drop_a1(stage, "t5")
    talk()
    hang_up(stage, "t6")


def drop_a1(stage, name):
    """A1 leaves a conference; london then leaves too where it may (leave_conference)."""
    people = stage.people
    mark = people.tell("A1", "hangup")
    stage.at(name, people.wait("A1", "ended", mark))
    people.hears("A2", "C", since=mark)
    people.hears("C", "A2", since=mark)
    if stage.leaves and stage.world.options.get("leave_conference"):
        has_left(stage, name + "x", mark)


def two_step_conference(stage, by="cti"):
    people = stage.people
    head(stage)
    talk()
    consult(stage, by)
    talk(QUEUE_S)
    people.hears("A1", "A2", since=a2_answers(stage, ["A1"]))
    talk()
    mark = people.mark()
    stage.cti("A1", "conference")
    stage.now("t5")
    people.hears("C", "A1", "A2", since=mark)
    people.hears("A2", "C", "A1", since=mark)
    talk()
    drop_a1(stage, "t6")
    talk()
    hang_up(stage, "t7")


def central_queue(stage, by="phone"):
    people = stage.people
    head(stage, "hub", answered="t4")
    talk()
    mark = people.mark()
    if by == "phone":
        people.send(cmd="refer", phone="A1", to=stage.queue_uri("hub"))
    else:
        stage.cti("A1", "single-step-transfer", to=stage.queue("hub")[0])
    stage.at("t5", people.wait("A1", "ended", mark))
    talk(QUEUE_S)
    shows(stage, "C", "A2", a2_answers(stage, ["C"], rings="t6", answered="t7"))
    talk()
    hang_up(stage, "t8")


PLAYERS = {"single-step-transfer": single_step_transfer, "consult-transfer": consult_transfer,
           "single-step-conference": single_step_conference, "two-step-conference": two_step_conference,
           "central-queue": central_queue, "consult-transfer-local": consult_transfer}
A2_AT = {"consult-transfer-local": "london"}


def play(world, scenario, lane=0, carrier="carrier", refer_policy="accept", **how):
    """Plays one scenario in a world that is up; returns (recording or None, problems, edges)."""
    stage = Stage(world, lane, A2_AT.get(scenario, "paris"), carrier, refer_policy)
    try:
        PLAYERS[scenario](stage, **how)
    finally:
        stage.close()
    return judge(stage, oracle_of(scenario))


def left_out(stage, oracle):
    """Segments of the oracle that this world's policies do not ask for."""
    never = [who for who, dn in stage.dns.items() if stage.world.options.get("record", {}).get(dn) == "never"]
    return {s["segment"] for s in oracle["segments"]
            if ("consult calls" in s.get("if", "") and not stage.world.options.get("record_consult"))
            or (s["recorded"] in never and s["site"] == stage.sites[s["recorded"]])}


def judge(stage, oracle):
    try:
        recording = stage.new_recording()
    except TimeoutError as error:
        shown = [stage.world.recording(i["id"]) for i in stage.recordings() if i["id"] not in stage.known]
        return None, [f"{error}: {len(shown)} recordings, {[r['state'] for r in shown if r]}"], []
    return held_against(stage, oracle, recording)


def held_against(stage, oracle, recording):
    """(recording, problems, edges)"""
    check = Check(oracle, stage.times, stage.users, recording, lambda url: stage.world.archive(url, raw=True)[1],
                  left_out(stage, oracle))
    return recording, check.run(), check.edges
