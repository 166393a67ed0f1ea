#!/usr/bin/env python3
"""The repository's rules about itself, for what no compiler checks.

    tidy.py [--libraries DIR]    check the tree; with a build's DIR also the symbols that its pure libraries ask for
    tidy.py --self-test          plant a violation of every rule in a copy of the tree and expect it to be found

Prints one line `file:line: what is wrong` for each violation; exit status 1 if there is any.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# What each folder of src/ may include besides itself (ARCHITECTURE.md). CMakeLists.txt links the same.
PURE = ["base", "crypto", "wire", "balance", "carp", "health", "sync"]
LAYERS = {
    "base": [],
    "crypto": ["base"],
    "wire": ["base", "crypto"],
    "balance": ["base", "crypto"],
    "carp": ["base", "crypto", "wire", "balance"],
    "health": ["base", "crypto", "wire", "balance", "carp"],
    "sync": ["base", "crypto", "wire"],
    "config": PURE,
    "import": PURE + ["config"],
    "control": PURE + ["config"],
    "linux": PURE + ["config"],
    "carpd": PURE + ["config", "control", "linux"],
    "web": PURE + ["config", "control", "linux"],
    "carpctl": PURE + ["config", "control", "import"],
}

LAYERS_EXCEPT = {("carpctl", "linux/unique_fd.h")}  # a header alone

# The simulator runs the pure folders and stands beside linux. Nothing in it may depend on the machine or the compiler.
SIMULATOR = PURE + ["config", "sim"]
SIMULATOR_BANNED = [
    (r"\bstd::\w+_distribution\b|\bmt19937|\brandom_device\b|\brand\s*\(", "is not the same everywhere; use sim/dice.h"),
    (r"\bunordered_\w+", "is iterated in an order of its own"),
    (r"\b(float|double)\b", "rounds; decide in integers"),
]
SIMULATOR_MANUAL = "docs/simulation.md"

# Patterns that may not stand in the code of these folders, tests aside, and why.
BANNED = [
    (PURE, r"\b(system_clock|steady_clock|high_resolution_clock|clock_gettime|gettimeofday)\b|\btime\s*\(\s*(0|NULL|nullptr|&)",
     "reads a clock; `now` is an argument"),
    (PURE, r"#\s*include <(thread|mutex|atomic|future|iostream|fstream|filesystem|unistd\.h|fcntl\.h|poll\.h"
           r"|(sys|net|netinet|linux|arpa)/.*)>", "includes what makes system calls"),
    (PURE, r"\b(std::cout|std::cerr|printf\s*\(|puts\s*\(|putchar\s*\()", "prints; a pure folder only returns values"),
    (PURE, r"\b(throw|dynamic_cast|typeid)\b", "needs exceptions or run-time types"),
    (["wire"], r"\bnew\b|\bmalloc\s*\(|\bstd::(vector|string|make_unique|make_shared)\b", "allocates"),
]
BANNED_EXCEPT = {"src/base/addresses.cc": "#include <arpa/inet.h>"}  # inet_pton and inet_ntop make no system call

# All that the pure libraries may ask of the rest of the world: the C++ library, memory, and text to bytes.
SYMBOLS_ALLOWED = [
    r"_ZSt\d+__throw_\w+",                        # the C++ library's ends of the world
    r"_ZNK?St7__cxx1112basic_stringIc\w+",        # std::string
    r"_Zn[wa]m|_Zd[la]Pvm?",                      # operator new and delete
    r"_ZSt\d+_Rb_tree_\w+",                       # std::map and std::set
    r"_ZNKSt8__detail20_Prime_rehash_policy\w+",  # std::unordered_set
    r"__stack_chk_fail|_GLOBAL_OFFSET_TABLE_",
    r"(__)?mem(cpy|move|set|cmp|chr)(_chk)?|strlen",
    r"abort|stderr|(__)?fprintf(_chk)?",          # CARPD_ASSERT
    r"(__)?snprintf(_chk)?",                      # a MAC address as text
    r"inet_(pton|ntop)",
    r"nettle_.*",
    r"__libc_single_threaded",                    # std::shared_ptr
    r"__popcountdi2",                             # std::popcount, where the processor may not have it
]

MAX_LINES = 600
UNFINISHED = r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"
CONFIG_KEYS = ["control", "dataplane", "group", "name", "interface", "vhid", "addresses", "password", "password-file", "key-hex",
               "advbase", "advskew", "preempt", "preempt-delay", "mac", "peers", "peer-routed", "beacons", "interface-groups",
               "accept-password", "accept-password-file", "accept-key-hex", "accept-addresses", "together",
               "carpnodes", "balancing", "hash", "weights",
               "hold-down", "hook", "on", "groups", "command", "timeout",
               "track", "route", "gateway", "probe", "device", "tcp", "http", "status", "process", "file", "script", "demote",
               "withdraw", "interval", "rise", "fall",
               "sync", "key-file", "accept-key-file", "port", "dead-after", "commit-wait", "commit", "max-flows",
               "ignore-addresses", "protocols", "zones",
               "metrics", "listen"]
PROTOCOL = "docs/protocol/carp.md"
SYNC_PROTOCOL = "docs/protocol/sync.md"
BALANCE_PROTOCOL = "docs/protocol/balance.md"  # its rules are N1 and so on, in any file but SYNC_FILES
BEACON_PROTOCOL = "docs/protocol/beacon.md"    # likewise V1 and so on
SYNC_FILES = r"src/(sync/|wire/(sync|flow)_?\w*\.).*"  # whose rules stand there
PAINS = "docs/pains.md"
CONFIG_MANUAL = "docs/man/carpd.toml.5"


class Tree:
    """The files of a source tree, read once, and the violations found in them."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.text = {}
        self.errors = []
        for path in sorted(self.root.rglob("*")):
            name = path.relative_to(self.root).as_posix()
            if re.match(r"(build|\.git|\.cache)(/|$)", name) or "__pycache__" in name or not path.is_file():
                continue
            self.text[name] = "" if name.startswith("fuzz/corpus/") else path.read_text(errors="replace")

    def error(self, name, line, message):
        self.errors.append(f"{name}:{line}: {message}")

    def files(self, pattern):
        return [name for name in self.text if re.fullmatch(pattern, name)]

    def code(self, folder="[^/]+"):
        """The sources of a folder of src/ that end up in the programs."""
        return [n for n in self.files(rf"src/{folder}/[^/]+\.(cc|h)") if not re.search(r"_(test|fuzz)\.cc$", n)]


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def without_comments(text):
    """The same with comments and string literals blanked out, includes kept, every line in its place."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r"//[^\n]*|/\*.*?\*/|(?<!include )\"(?:\\.|[^\"\\\n])*\"", blank, text, flags=re.S)


def includes(text):
    for match in re.finditer(r"^#include \"([^\"]+)\"", text, re.M):
        yield match.group(1), line_of(text, match.start())


def check_layers(tree):
    for name in tree.files(r"src/.*\.(cc|h)"):
        folder = name.split("/")[1]
        if folder not in LAYERS:
            tree.error(name, 1, f"src/{folder} has no place in the layering; add it to tools/tidy.py")
            continue
        for path, line in includes(tree.text[name]):
            target = path.split("/")[0]
            if path.startswith(("tests/captures/", "tests/openmetrics/")) and name.endswith("_test.cc"):
                continue
            if target != folder and target not in LAYERS[folder] and (folder, path) not in LAYERS_EXCEPT:
                tree.error(name, line, f"{folder} may not include {path}")


def check_banned_words(tree):
    for folders, pattern, why in BANNED:
        for name in (n for folder in folders for n in tree.code(folder)):
            text = without_comments(tree.text[name])
            if name in BANNED_EXCEPT:
                text = text.replace(BANNED_EXCEPT[name], "")
            for match in re.finditer(pattern, text):
                tree.error(name, line_of(text, match.start()), f"`{match.group(0).strip()}` {why}")


def check_unfinished(tree):
    for name, text in tree.text.items():
        for match in re.finditer(UNFINISHED, text):
            tree.error(name, line_of(text, match.start()), f"{match.group(0)}: finish it, or file an issue")


def check_sizes(tree):
    for name in tree.files(r".*\.(cc|h|py|cmake)|dev"):
        lines = tree.text[name].count("\n")
        if lines > MAX_LINES:
            tree.error(name, lines, f"longer than {MAX_LINES} lines; split it")


def check_dead_files(tree):
    sources = tree.files(r"(src|sim|lab|bench|tests|fuzz)/.*\.(cc|h)")
    # Includes are written from src/, from the root, or from the file's own folder.
    included = {}
    for name in sources:
        for path, _ in includes(tree.text[name]):
            for candidate in (f"src/{path}", path, f"{name.rpartition('/')[0]}/{path}"):
                included.setdefault(candidate, set()).add(name)
    for name in sources:
        stem = re.sub(r"(_test|_fuzz)?\.(cc|h)$", "", name)
        if name.endswith(".h") and all(re.sub(r"(_test)?\.cc$", "", user) == stem for user in included.get(name, [])):
            tree.error(name, 1, "nobody includes this header")
        folder = name.rpartition("/")[0] + "/"
        own_headers = [path for path, _ in includes(tree.text[name]) if f"src/{path}".startswith(folder)]
        if re.fullmatch(r"src/.*\.cc", name) and not own_headers:
            tree.error(name, 1, "implements no header of its folder")


def check_dead_data(tree):
    code = "\n".join(tree.text[n] for n in tree.files(r"(src|lab|tests)/.*\.(cc|h|txt)"))
    for name in tree.files(r"tests/captures/.*"):
        if name.split("/")[-1] not in code:
            tree.error(name, 1, "no test reads this file")
    for name in tree.files(r"tests/(config|import)/.*"):
        if "/".join(name.split("/")[:2]) not in code:
            tree.error(name, 1, "no test reads this folder")
    corpora = {name.split("/")[2] for name in tree.files(r"fuzz/corpus/[^/]+/.*")}
    fuzzers = {re.sub(r".*/|_fuzz\.cc", "", name): name for name in tree.files(r"src/[^/]+/[^/]+_fuzz\.cc")}
    for corpus in corpora - set(fuzzers):
        tree.error(f"fuzz/corpus/{corpus}", 1, f"there is no {corpus}_fuzz.cc")
    for fuzzer in set(fuzzers) - corpora:
        tree.error(fuzzers[fuzzer], 1, f"has no fuzz/corpus/{fuzzer}")


def enumerators(text, enum):
    body = re.search(rf"enum class {enum}\b[^{{]*\{{(.*?)\}};", text, re.S)
    return re.findall(r"^\s*(\w+)", re.sub(r"//[^\n]*", "", body.group(1)), re.M) if body else []


def cited_rules(text):
    """(rule, line) for `rule R1`, `rules R1, R2`, `rules R1 to R5` and comments that are only a rule's number."""
    joined = re.sub(r"\n( *)// ?", lambda m: "\n" + " " * (len(m.group(0)) - 1), text)
    list_of_rules = r"[A-Z]\d{1,2}(?:(?:,|,? and| to)\s+[A-Z]\d{1,2})*"
    for match in re.finditer(rf"\brules?\s+({list_of_rules})\b", joined):
        numbers = [(n[0], int(n[1:])) for n in re.findall(r"[A-Z]\d+", match.group(1))]
        if " to " in re.sub(r"\s+", " ", match.group(1)):
            numbers = [(numbers[0][0], n) for n in range(numbers[0][1], numbers[-1][1] + 1)]
        for letter, number in numbers:
            yield f"{letter}{number}", line_of(joined, match.start())
    for match in re.finditer(r"// ([A-Z]\d{1,2}(?:, [A-Z]\d{1,2})*)(?=$|  )", text, re.M):
        for rule in match.group(1).split(", "):
            yield rule, line_of(text, match.start())


def check_protocol_documents(tree):
    for document, header, enum in ((PROTOCOL, "src/wire/drop_reason.h", "DropReason"),
                                   (PROTOCOL, "src/carp/election.h", "Cause"),
                                   (SYNC_PROTOCOL, "src/wire/sync_datagram.h", "SyncDrop")):
        for word in enumerators(tree.text.get(header, ""), enum):
            if not re.search(rf"`{word}`", tree.text.get(document, "")):
                tree.error(document, 1, f"does not mention {enum} `{word}`")
    defined = {document: {a or b for a, b in re.findall(r"^\| *\*\*([A-Z]\d+)\*\*|^- \*\*([A-Z]\d+)\*\*",
                                                        tree.text.get(document, ""), re.M)}
               for document in (PROTOCOL, SYNC_PROTOCOL, BALANCE_PROTOCOL, BEACON_PROTOCOL)}
    defined[PROTOCOL] |= defined[BALANCE_PROTOCOL] | defined[BEACON_PROTOCOL]
    for name in tree.files(r"(src|sim|lab|bench|tests)/.*\.(cc|h)"):
        document = SYNC_PROTOCOL if re.fullmatch(SYNC_FILES, name) else PROTOCOL
        for rule, line in cited_rules(tree.text[name]):
            if rule not in defined[document]:
                tree.error(name, line, f"cites rule {rule}, which {document} does not define")


def check_names(tree):
    """Two types of one name are one to the linker: whichever it finds first is used for both."""
    first = {}
    for name in tree.files(r"src/.*\.h"):
        text = tree.text[name]
        if not re.search(r"^namespace carpd \{", text, re.M):
            continue
        for match in re.finditer(r"^(?:class|struct) (\w+)[^;{]*\{", without_comments(text), re.M):
            other = first.setdefault(match.group(1), name)
            if other != name:
                tree.error(name, line_of(text, match.start()), f"`{match.group(1)}` is also a type of {other}")


def check_simulator(tree):
    for name in tree.files(r"sim/.*\.(cc|h)"):
        for path, line in includes(tree.text[name]):
            if path.split("/")[0] not in SIMULATOR:
                tree.error(name, line, f"sim may not include {path}")
        text = without_comments(tree.text[name])
        for pattern, why in SIMULATOR_BANNED:
            for match in re.finditer(pattern, text):
                tree.error(name, line_of(text, match.start()), f"`{match.group(0).strip()}` {why}")
    manual = tree.text.get(SIMULATOR_MANUAL, "")
    for plan in ("sim/plan.h", "sim/sync/plan.h"):
        for fault in enumerators(tree.text.get(plan, ""), "FaultKind"):
            if f"`{fault}`" not in manual:
                tree.error(SIMULATOR_MANUAL, 1, f"does not explain the fault `{fault}`")
    for name in tree.files(r"sim/check_.*\.cc"):
        for match in re.finditer(r"name\(\) const override \{ return \"([\w-]+)\"", tree.text[name]):
            if f"**{match.group(1)}.**" not in manual:
                tree.error(SIMULATOR_MANUAL, 1, f"does not state what the checker {match.group(1)} proves")


def check_manual(tree):
    manual = tree.text.get(CONFIG_MANUAL, "").replace("\\-", "-")
    for key in CONFIG_KEYS:
        if not re.search(rf"(?<![\w-]){key}(?![\w-])", manual):
            tree.error(CONFIG_MANUAL, 1, f"does not explain the key `{key}`")


def check_pains(tree):
    """Every pain has its line, and the tests that it names are there."""
    text = tree.text.get(PAINS, "")
    for number in range(1, 46):
        if not re.search(rf"^\| {number} \|", text, re.M):
            tree.error(PAINS, 1, f"has no line {number}")
    tests = {f"{suite}.{test}" for name in tree.files(r"(src|tests)/.*_test\.cc")
             for suite, test in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", tree.text[name], re.M)}
    for match in re.finditer(r"`([A-Z]\w+\.[A-Z]\w+|(?:docs|tests)/[\w/.]+)`", text):
        if match.group(1) not in tests and match.group(1) not in tree.text:
            tree.error(PAINS, line_of(text, match.start()), f"names `{match.group(1)}`, which is not there")


def check_symbols(tree, libraries):
    """No pure library may ask the linker for anything that is not on the list."""
    defined, wanted = set(), {}
    for folder in PURE:
        library = pathlib.Path(libraries) / f"libcarpd_{folder}.a"
        if not library.exists():
            tree.error(str(library), 1, "is not built")
            continue
        listing = subprocess.run(["nm", "-P", str(library)], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            symbol, kind = (line.split() + ["", ""])[:2]
            if kind in ("U", "w"):
                wanted.setdefault(symbol, library.name)
            elif kind:
                defined.add(symbol)
    allowed = re.compile("|".join(SYMBOLS_ALLOWED))
    for symbol in sorted(wanted.keys() - defined):
        if not allowed.fullmatch(symbol):
            tree.error(wanted[symbol], 1, f"needs `{symbol}`, which is not on the list in tools/tidy.py")


CHECKS = [check_layers, check_banned_words, check_unfinished, check_sizes, check_dead_files, check_dead_data,
          check_names, check_protocol_documents, check_simulator, check_manual, check_pains]


def violations(root, libraries=None):
    tree = Tree(root)
    for check in CHECKS:
        check(tree)
    if libraries:
        check_symbols(tree, libraries)
    return tree.errors


# What the self-test plants: (file, text to put at its end, what must be said about it).
PLANTS = [
    ("src/base/time.h", '#include "wire/checksum.h"\n', r"base may not include wire"),
    ("src/wire/checksum.h", '#include "carp/types.h"\n', r"wire may not include carp"),
    ("src/carp/types.h", '#include "config/config.h"\n', r"carp may not include config"),
    ("src/carpctl/parts.h", '#include "linux/clock.h"\n', r"carpctl may not include linux"),
    ("src/novelty/x.h", "\n", r"src/novelty has no place"),
    ("src/carp/node.cc", "auto t = std::chrono::steady_clock::now();\n", r"steady_clock` reads a clock"),
    ("src/carp/node.cc", "auto t = time(nullptr);\n", r"reads a clock"),
    ("src/wire/checksum.h", "#include <sys/socket.h>\n", r"system calls"),
    ("src/carp/pump.cc", "#include <thread>\n", r"system calls"),
    ("src/wire/ip_packet.cc", "#include <arpa/inet.h>\n", r"system calls"),
    ("src/base/bytes.h", 'inline void f() { printf("x"); }\n', r"prints"),
    ("src/carp/election.cc", "void f() { throw 1; }\n", r"exceptions"),
    ("src/wire/neighbor.cc", "int* leak() { return new int; }\n", r"allocates"),
    ("README.md", "TO" "DO\n", r"finish it"),
    ("src/carp/node.cc", "\n" * MAX_LINES, r"longer than"),
    ("src/wire/unused.h", "#pragma once\n", r"nobody includes"),
    ("src/wire/unused.cc", "\n", r"implements no header"),
    ("tests/captures/unused.txt", "\n", r"no test reads"),
    ("fuzz/corpus/nothing/seed", "\n", r"there is no nothing_fuzz.cc"),
    ("src/wire/new_fuzz.cc", '#include "wire/checksum.h"\n', r"has no fuzz/corpus/new"),
    ("sim/dice.h", '#include "linux/clock.h"\n', r"sim may not include linux"),
    ("sim/dice.h", "std::uniform_int_distribution<int> d;\n", r"same everywhere"),
    ("sim/world.cc", "double d;\n", r"decide in integers"),
    ("sim/world.cc", "std::unordered_map<int, int> m;\n", r"order of its own"),
    ("src/wire/checksum.h", "// See rule Z7.\n", r"cites rule Z7"),
    ("src/wire/checksum.h", "// See rules Z1,\n// Z2 and Z3.\n", r"cites rule Z3"),
    ("src/wire/checksum.h", "int x;  // Z9\n", r"cites rule Z9"),
    ("src/sync/channel.h", "// See rule R1.\n", r"cites rule R1"),
    ("src/wire/checksum.h", "struct VirtualHost {\n};\n", r"`VirtualHost` is also a type of src/carp/virtual_host.h"),
    ("docs/pains.md", "`Nobody.HasWrittenIt`\n", r"names `Nobody.HasWrittenIt`"),
    ("docs/pains.md", "`tests/scenarios/nothing.txt`\n", r"names `tests/scenarios/nothing.txt`"),
]
# And what it removes: (file, words, what must be said).
REMOVALS = [
    (PROTOCOL, "`bad_checksum`", r"DropReason `bad_checksum`"),
    (PROTOCOL, "`tie_lost`", r"Cause `tie_lost`"),
    (SYNC_PROTOCOL, "`bad_seal`", r"SyncDrop `bad_seal`"),
    (SIMULATOR_MANUAL, "`echo`", r"fault `echo`"),
    (SIMULATOR_MANUAL, "**lease.**", r"checker lease"),
    (CONFIG_MANUAL, "advskew", r"key `advskew`"),
    (PAINS, "| 45 |", r"has no line 45"),
]


def new_violations(root, before, **how):
    return [e for e in violations(root, **how) if e not in before]


def self_test(root):
    failures = []
    with tempfile.TemporaryDirectory(prefix="tidy-") as temporary:
        copy = pathlib.Path(temporary) / "tree"
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns("build", ".git", "__pycache__"))
        before = violations(copy)

        def expect(name, change, expected):
            path = copy / name
            original = path.read_text() if path.exists() else None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(change(original or ""))
            if not any(re.search(expected, e) for e in new_violations(copy, before)):
                failures.append(f"a planted violation in {name} was not found: {expected}")
            path.unlink() if original is None else path.write_text(original)
            if original is None and not any(path.parent.iterdir()):
                path.parent.rmdir()

        for name, text, expected in PLANTS:
            expect(name, lambda original, text=text: original + text, expected)
        for name, words, expected in REMOVALS:
            expect(name, lambda original, words=words: original.replace(words, ""), expected)
        if new_violations(copy, before):
            failures.append("the self-test did not clean up after itself")
        failures += self_test_symbols(copy, before)
    for failure in failures:
        print(failure)
    print(f"{len(PLANTS) + len(REMOVALS) + 1} violations planted, {len(failures)} not found")
    return failures


def self_test_symbols(copy, before):
    """A library that asks for a clock, and three empty ones."""
    directory = copy / "libraries"
    directory.mkdir()
    source = directory / "x.cc"
    for folder in PURE:
        source.write_text("#include <ctime>\nlong f() { return time(nullptr); }\n" if folder == "wire" else "\n")
        subprocess.run(["g++", "-c", source, "-o", directory / "x.o"], check=True)
        subprocess.run(["ar", "rc", directory / f"libcarpd_{folder}.a", directory / "x.o"], check=True)
    source.unlink()
    found = new_violations(copy, before, libraries=directory)
    return [] if any("needs `time`" in e for e in found) else ["a library that reads the clock was not found"]


def main():
    parser = argparse.ArgumentParser(description="The repository's rules about itself.")
    parser.add_argument("--libraries", metavar="DIR", help="a build whose pure libraries' symbols to check")
    parser.add_argument("--self-test", action="store_true", help="check the checks")
    arguments = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parent.parent
    if arguments.self_test:
        return 1 if self_test(root) else 0
    errors = violations(root, arguments.libraries)
    for error in errors:
        print(error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
