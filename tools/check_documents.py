#!/usr/bin/env python3
"""Holds the documents to the code: links lead somewhere, and every `file:name` and `path` they give exists."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
bad = []
checked = 0
texts = {}


def text_of(path):
    if path not in texts:
        texts[path] = path.read_text(errors="replace")
    return texts[path]


def check_links(document):
    global checked
    for match in re.finditer(r"\]\(([^)#\s]+)(#[^)]*)?\)", text_of(document)):
        target = match.group(1)
        if re.match(r"[a-z]+:", target):
            continue
        checked += 1
        if not (document.parent / target).exists():
            bad.append(f"{document.relative_to(root)}: link to {target} leads nowhere")


def check_names(document):
    """`src/room/file.cpp:name` must name a file that has the word `name`; `src/…` alone must exist."""
    global checked
    for match in re.finditer(r"`((?:src|tests|tools|scripts|fuzz|docs|cmake)/[A-Za-z0-9_./-]+)(?::([A-Za-z_][A-Za-z0-9_:]*))?`",
                             text_of(document)):
        checked += 1
        path = root / match.group(1)
        if not path.exists():
            bad.append(f"{document.relative_to(root)}: {match.group(1)} does not exist")
        elif match.group(2):
            word = match.group(2).split("::")[-1]
            if not path.is_file() or not re.search(rf"\b{re.escape(word)}\b", text_of(path)):
                bad.append(f"{document.relative_to(root)}: {match.group(1)} has no {match.group(2)}")


def check_sentences(document):
    """`src/room/x_test.cpp` "a sentence": a test of that name is in it."""
    global checked
    for path, sentence in re.findall(r'`((?:src|tests)/[A-Za-z0-9_./-]+_test\.cpp)` "([^"]+)"', text_of(document)):
        checked += 1
        if (root / path).exists() and f'TEST_CASE("{sentence}")' not in re.sub(r'"\s*\n\s*"', "", text_of(root / path)):
            bad.append(f"{document.relative_to(root)}: {path} has no test \"{sentence}\"")


documents = [root / name for name in
             subprocess.run(["git", "-C", str(root), "ls-files", "*.md"], capture_output=True, text=True).stdout.split()]
documents = [d for d in documents if d.exists()] or sorted(root.glob("docs/**/*.md")) + sorted(root.glob("*.md"))
for document in documents:
    check_links(document)
    check_names(document)
    check_sentences(document)
for wanted in ("docs/life-of-a-call.md", "docs/rfcs.md", "docs/glossary.md"):
    names = re.findall(r"`src/[^`]+:[^`]+`", text_of(root / wanted)) if (root / wanted).exists() else None
    if names is None:
        bad.append(f"{wanted} is missing")
    elif wanted != "docs/glossary.md" and not names:
        bad.append(f"{wanted} names no code")
print("\n".join(bad) or f"documents ok: {len(documents)} files, {checked} names and links")
sys.exit(bool(bad) or checked == 0)
