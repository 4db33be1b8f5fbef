#!/usr/bin/env python3
"""Makes the man pages of Markdown, so that there is one text: `man.py DIRECTORY` writes them there.

It knows the Markdown that its sources use, and fails on what it does not know. A table's rows become tagged paragraphs, since
man(7) has no tables that wrap.
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
# Where the package puts docs/*.md.
DOCS = "/usr/share/doc/bothends"
# The source, the line under NAME, the part of the manual; for a source that has no sections "Synopsis" and "See also", theirs.
PAGES = {
    "bothends.1": (HERE / "bothends.1.md", "watches both ends of AWS Site-to-Site VPN tunnels", "System Administration", None, None),
    "bothends.toml.5": (HERE.parent.parent / "docs/configuration.md", "configuration of bothends(1)", "File Formats",
                        ["/etc/bothends/bothends.toml", "/etc/bothends/conf.d/*.toml"], f"`bothends(1)`, `{DOCS}/index.md`"),
}


def header(page, says, part, synopsis):
    name, section = page.rsplit(".", 1)
    lines = [f'.TH {name.upper()} {section} "" "bothends" "{part}"', ".SH NAME", f"{name} \\- {says}"]
    if synopsis:
        lines += [".SH SYNOPSIS", ".nf", *map(escaped, synopsis), ".fi", ".SH DESCRIPTION"]
    return "\n".join(lines)


def escaped(text):
    """Text in which roff sees no request and no escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("\u2026", "...").replace("\u00d7", "x")
    return re.sub(r"^([.'])", r"\\&\1", text)


def link(found):
    text, target = found[1], found[2]
    if not target:
        return text
    place = target if ":" in target else f"{DOCS}/{target}"
    return place if text == target else f"{text} ({place})"


def inline(text):
    """Code and bold become bold, emphasis italics, links their text and where the package puts the page."""
    text = re.sub(r"\[([^\]]+)\]\(([^)#]*)[^)]*\)", link, text)
    parts = re.split(r"(`[^`]+`|\*\*[^*]+\*\*|\*[^* ][^*]*\*)", text)
    made = []
    for part in parts:
        if part.startswith("`"):
            made.append(f"\\fB{escaped(part[1:-1])}\\fR")
        elif part.startswith("**"):
            made.append(f"\\fB{escaped(part[2:-2])}\\fR")
        elif part.startswith("*") and part.endswith("*") and len(part) > 2:
            made.append(f"\\fI{escaped(part[1:-1])}\\fR")
        else:
            made.append(escaped(part) if made else re.sub(r"^([.'])", r"\\&\1", escaped(part)))
    return "".join(made)


def row(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(lines):
    """A key, its default and what it may be; other tables are a tag and the rest."""
    head, _, *rows = lines
    names = row(head)
    for line in rows:
        tag, *rest = row(line)
        yield ".TP"
        yield inline(tag)
        for name, cell in zip(names[1:], rest):
            label = "" if name == "allowed" or len(names) == 2 else f"{name.capitalize()}: "
            yield inline(label + cell + ("." if label and not cell.endswith(".") else ""))


def convert(text, head):
    lines = text.splitlines()
    at, paragraph = 0, False
    while at < len(lines):
        line = lines[at]
        if line.startswith("# "):
            yield head
        elif line.startswith("### "):
            yield f".SS {inline(line[4:])}"
        elif line.startswith("## "):
            yield f".SH {inline(line[3:]) if '`' in line else inline(line[3:]).upper()}"
        elif line.startswith("```"):
            end = next(n for n in range(at + 1, len(lines)) if lines[n].startswith("```"))
            yield from [".PP", ".nf", ".RS 4", *map(escaped, lines[at + 1:end]), ".RE", ".fi"]
            at = end
        elif line.startswith("|"):
            end = next((n for n in range(at, len(lines)) if not lines[n].startswith("|")), len(lines))
            yield from table(lines[at:end])
            at = end - 1
        elif match := re.match(r"(?:- |\d+\. )(.*)", line):
            yield ".IP \\(bu 2"
            yield inline(match[1])
            paragraph = True
        elif not line.strip():
            paragraph = False
        elif line.startswith((">", "<", "    ")) and not paragraph:
            raise SystemExit(f"man.py: line {at + 1} is Markdown that it does not know: {line}")
        else:
            if not paragraph:
                yield ".PP"
            yield inline(line.strip())
            paragraph = True
        at += 1


if __name__ == "__main__":
    for page, (source, says, part, synopsis, see_also) in PAGES.items():
        lines = list(convert(source.read_text(), header(page, says, part, synopsis)))
        if see_also:
            lines += [".SH SEE ALSO", inline(see_also)]
        pathlib.Path(sys.argv[1], page).write_text("\n".join(lines) + "\n")
