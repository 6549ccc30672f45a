#!/usr/bin/env python3
"""Fails when a file under src/ includes a room that layers.txt does not allow its own room to see."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
allowed = {}
for line in (root / "layers.txt").read_text().splitlines():
    if line and not line.startswith("#"):
        room, _, seen = line.partition(":")
        unknown = set(seen.split()) - set(allowed)
        if unknown:
            sys.exit(f"layers.txt: {room} looks down at {sorted(unknown)}")
        allowed[room] = set(seen.split()) | {room}


def room_of(path):
    """The longest room that is a folder above the file."""
    parts = path.split("/")
    for length in (2, 1):
        candidate = "/".join(parts[:length])
        if len(parts) > length and candidate in allowed:
            return candidate
    return None


bad = []
seen = 0
for path in sorted((root / "src").rglob("*")):
    if path.suffix not in {".h", ".cpp"}:
        continue
    name = path.relative_to(root / "src").as_posix()
    room = room_of(name)
    if name == "apps/main.cpp":
        room = "apps/cli"
    if room is None:
        bad.append(f"src/{name}: in no room of layers.txt")
        continue
    seen += 1
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#include "([^"]+)"', line)
        if not found:
            continue
        target = room_of(found.group(1))
        if target is None:
            bad.append(f"src/{name}:{number}: {found.group(1)} is not written from src/ down")
        elif target not in allowed[room]:
            bad.append(f"src/{name}:{number}: {room} may not include {target}")
print("\n".join(bad) or f"layers ok: {seen} files")
sys.exit(bool(bad) or seen == 0)
