#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the archive's grouping against model.py: the same view by fold and by Engine after every prefix of random
histories, with caps of 4 and 256. Then plants bugs in the model and demands that the same histories tell them apart.

usage: grouping_differential.py DRIVER [HISTORIES [SEED]]"""
import json
import os
import random
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import model  # noqa: E402


def history(rng):
    """Few names, so that everything collides: calls announced or not, links said twice with other tiers or ends,
    retractions before their links, vetoes that come and go, duplicates, two tenants."""
    calls = [f"u{i}" for i in range(rng.choice((3, 5, 8)))]
    links = [f"l{i}" for i in range(rng.choice((3, 6, 9)))]
    facts = []
    for _ in range(rng.randint(1, 18)):
        t = rng.choice("xxxy")
        kind = rng.random()
        a, b = rng.choice(calls), rng.choice(calls)
        if kind < 0.2:
            fact = model.Call(t, a)
        elif kind < 0.4:
            fact = model.Seg(t, f"f{rng.randint(0, 4)}", a)
        elif kind < 0.75:
            fact = model.Link(t, rng.choice(links), a, b, rng.randint(0, 2), rng.random() < 0.85)
        elif kind < 0.85:
            fact = model.Retract(t, rng.choice(links))
        else:
            fact = model.Veto(t, a, b, rng.randint(1, 3), rng.random() < 0.6)
        facts.append(fact)
        if rng.random() < 0.15:
            facts.append(rng.choice(facts))
    return facts


def plain(view):
    return [[r[0], r[1], sorted(calls), sorted(segments), big] for r, (_, calls, segments, big) in sorted(view.items())]


def long_chain(rng):
    """More calls than the real cap, announced in random order."""
    facts = [model.Seg("x", f"f{i}", f"u{i:04}") for i in range(0, 300, 7)]
    facts += [model.Link("x", f"l{i}", f"u{i:04}", f"u{i + 1:04}", rng.randint(0, 2), True) for i in range(300)]
    rng.shuffle(facts)
    return facts


def answers(driver, histories):
    lines = "".join(json.dumps({"cap": cap, "facts": [[type(f).__name__, *f] for f in facts]}) + "\n"
                    for cap, facts in histories)
    out = subprocess.run([driver], input=lines, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def plants():
    """name -> (attribute of model, planted replacement)"""
    effective, capped, leader = model.effective, model.capped, model.leader

    def without_vetoes(facts):
        return effective({f for f in facts if not isinstance(f, model.Veto)})

    def without_retractions(facts):
        return effective({f for f in facts if not isinstance(f, model.Retract)})

    def believing_all(facts):
        return effective({f._replace(auth=True) if isinstance(f, model.Link) else f for f in facts})

    def not_capped(comp, edges):
        return [(comp, edges)]

    def cut_without_tiers(comp, edges):
        return capped(comp, [e._replace(tier=0) for e in edges])

    def smallest_id_leads(group, edges):
        return leader(group, [])

    return {"vetoes are ignored": ("effective", without_vetoes),
            "retractions are ignored": ("effective", without_retractions),
            "a link nobody may say counts": ("effective", believing_all),
            "the cap is ignored": ("capped", not_capped),
            "the cut ignores the tiers": ("capped", cut_without_tiers),
            "the smallest id leads": ("leader", smallest_id_leads)}


def expected(cap, facts):
    model.K = cap
    return plain(model.fold(facts, lead=model.leader))


def main():
    driver = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 2)
    histories = [(rng.choice((4, 256)), history(rng)) for _ in range(count)]
    got = answers(driver, histories)
    assert len(got) == count, f"{len(got)} answers to {count} histories"
    views = 0
    for (cap, facts), answer in zip(histories, got):
        for n in range(1, len(facts) + 1):
            want = expected(cap, facts[:n])
            for way in ("fold", "engine"):
                if answer[way][n - 1] != want:
                    sys.exit(f"{way} differs, cap {cap}\nfacts: {facts[:n]}\nwant: {want}\ngot:  {answer[way][n - 1]}")
            views += 1
    chain = long_chain(rng)
    last = answers(driver, [(256, chain)])[0]
    want = expected(256, chain)
    assert last["fold"][-1] == want and last["engine"][-1] == want, "the long chain differs"
    assert max(len(g[2]) for g in want) <= 256 and all(g[4] for g in want), "the long chain did not reach the cap"

    for name, (attribute, planted) in plants().items():
        original = getattr(model, attribute)
        setattr(model, attribute, planted)
        caught = sum(expected(cap, facts) != answer["fold"][-1] for (cap, facts), answer in zip(histories, got))
        setattr(model, attribute, original)
        if caught == 0:
            sys.exit(f"these histories do not notice that {name}")
        print(f"noticed in {caught} histories: {name}")
    print(f"{count} histories, {views} views: fold and Engine agree with the model")


main()
