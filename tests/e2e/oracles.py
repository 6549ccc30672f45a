# SPDX-License-Identifier: Apache-2.0
"""Oracles for what tests/oracle/scenarios.json has no scenario for: its parts, and changes of those it has."""
import copy

from harness import scenarios


def part(first, last, said=(), heard=(), **more):
    return {"from": first, "to": last, "said": list(said), "heard": list(heard), **more}


def on_hold(first, last, *held):
    return part(first, last, label="hold", held=list(held))


def segment(name, site, recorded, call, *parts):
    return {"segment": name, "site": site, "recorded": recorded, "call": call, "from": parts[0]["from"], "to": parts[-1]["to"],
            "voices": list(parts)}


def gap(first, last, reason):
    return {"from": first, "to": last, "reason": reason}


def changed(base="consult-transfer", ends=None, **parts):
    """The oracle of a scenario, other `parts` in their place, and other ends of calls."""
    oracle = copy.deepcopy(scenarios.oracle_of(base))
    oracle.update(parts)
    for call in oracle["calls"]:
        if call["call"] in (ends or {}):
            call.update(ends[call["call"]])
    return oracle


HEAD = part("t1", "t2", ["A1"], ["C"])
F1 = segment("F1", "london", "A1", "U1", HEAD, on_hold("t2", "t5", "C"))
QUEUED = gap("t0", "t1", "queue")
CONSULT = {"link": "LC", "from_call": "U1", "to_call": "U1c", "kind": "consult", "at": "t2"}
ROUTE = {"link": "L1", "from_call": "U1c", "to_call": "U2", "kind": "route", "at": "t3"}
U1, U1C, U2 = ({"call": "U1", "site": "london", "from": "t0", "to": "t6"},
               {"call": "U1c", "site": "london", "from": "t2", "to": "t5", "consult_of": "U1"},
               {"call": "U2", "site": "paris", "from": "t3", "to": "t5"})
