"""Proves the claims about a built shim, and prints a table. `cargo xtask prove` calls it."""

import argparse
import hashlib
import json
import multiprocessing
import pathlib
import sys
import time

from claims import CLAIMS
from machine import Layout, Machine, NotShown, Refuted

ORDERS_AND_WIDTHS = [(order, width) for order in ("le", "be") for width in range(1, 9)]
ORDERS_AND_WIDTHS += [(order, width) for order in ("varint", "minimal") for width in range(1, 11)]
OFFSETS = (0, 1, 2, 9)
STARTS = (0, 2)
# A decoder's paths are many: few layouts, with each cut.
DECODED = [("be", 1, 0), ("le", 2, 1), ("varint", 2, 0), ("minimal", 2, 1)]
# The exit status if a claim does not hold, or not yet for all layouts.
NOT_HELD = 3
QUICK = [("le", 4, 0), ("be", 3, 2), ("be", 8, 1), ("varint", 2, 1), ("minimal", 3, 0)]


def layouts_of(claim, quick):
    """The layouts for which a claim is proved. The first one knows neither offset nor width."""
    if claim == "1":
        return [(order, 1, 0, 0) for order in Layout.ORDERS]
    if claim == "7":
        return [(*layout, 0) for layout in DECODED[: 1 if quick else None]]
    starts = STARTS if claim == "3" else (0,)
    if quick:
        return [(*layout, starts[-1]) for layout in QUICK]
    return [(*field, offset, start) for field in ORDERS_AND_WIDTHS for offset in OFFSETS for start in starts]


def begin(library):
    """Loads the shim, once a process."""
    global machine
    machine = Machine(library)


def prove(task):
    """Proves a claim for a layout: how many paths, how many seconds of a core, and what was found if it does not hold."""
    claim, numbers = task
    layout = Layout(*numbers)
    before = time.process_time()
    paths, verdict, counterexample = 0, "held", None
    try:
        paths = CLAIMS[claim](machine, layout)
    except Refuted as refuted:
        verdict, counterexample = "refuted", refuted.counterexample
    except NotShown as reason:
        verdict = f"not shown: {reason}"
    seconds = round(time.process_time() - before, 1)
    return {
        "claim": claim,
        "layout": str(layout),
        "paths": paths,
        "seconds": seconds,
        "verdict": verdict,
        "counterexample": counterexample,
    }


def prove_all(args, tasks):
    """Proves all, with a line of progress; each result is written at once. Returns what was found."""
    found = [] if args.quick or args.until_refuted else kept(args)
    wanted = {(claim, str(Layout(*numbers))): (claim, numbers) for claim, numbers in tasks}
    done = {(one["claim"], one["layout"]) for one in found}
    tasks = [task for name, task in wanted.items() if name not in done]
    before = time.monotonic()
    with multiprocessing.Pool(args.jobs, begin, [args.library], maxtasksperchild=20) as pool:
        for count, one in enumerate(pool.imap_unordered(prove, tasks), 1):
            found.append(one)
            write(args, found)
            if one["verdict"] != "held" and not args.until_refuted:
                print(f"\r\x1b[Kclaim {one['claim']}, {one['layout']}: {one['verdict']}")
                print(one["counterexample"] or "", end="")
            seconds = time.monotonic() - before
            text = f"{count} of {len(tasks)}, {seconds:.0f} s: claim {one['claim']}, {one['layout']}, {one['seconds']} s"
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            if args.until_refuted and one["counterexample"] or args.minutes and seconds > 60 * args.minutes:
                pool.terminate()
                break
    print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return [one for one in found if (one["claim"], one["layout"]) in wanted]


def write(args, found):
    """Writes what was found, and about what."""
    seconds = round(sum(one["seconds"] for one in found))
    figures = {"about": args.about, "seconds": seconds, "claims": table(found, args.quick), "found": found}
    with open(args.figures, "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=1)


def kept(args):
    """What held in a run that was stopped, if it was about the same library and by the same scripts."""
    try:
        with open(args.figures, encoding="utf-8") as file:
            figures = json.load(file)
    except FileNotFoundError:
        return []
    return [one for one in figures["found"] if one["verdict"] == "held" and figures["about"] == args.about]


def fingerprint(library):
    """A hash of the library and of these scripts."""
    files = [pathlib.Path(library), *sorted(pathlib.Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def table(found, quick):
    """A row for each claim, with what it took, and whether it held for all layouts."""
    rows = []
    for claim, function in CLAIMS.items():
        of_claim = [one for one in found if one["claim"] == claim]
        if of_claim:
            rows.append(row(claim, function.__doc__, of_claim, len(layouts_of(claim, quick))))
    # Another result than the specification's is no panic.
    wrong_result = [one for one in found if one["counterexample"] and "found=panic" not in one["counterexample"]]
    without_panic = [one | {"verdict": "held"} if one in wrong_result else one for one in found]
    rows.append(row("6", "No path of all these reaches a panic.", without_panic, sum(one["of"] for one in rows)))
    return sorted(rows, key=lambda one: one["claim"])


def row(claim, text, found, of):
    """A row over these results."""
    failed = sum(one["verdict"] != "held" for one in found)
    verdict = "held" if len(found) == of else "held so far"
    return {
        "claim": claim,
        "text": " ".join(text.split()),
        "layouts": len(found),
        "of": of,
        "paths": sum(one["paths"] for one in found),
        "seconds": round(sum(one["seconds"] for one in found), 1),
        "verdict": f"not held for {failed}" if failed else verdict,
    }


def main():
    """Reads the arguments, proves, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="the built shim")
    parser.add_argument("--figures", required=True, help="where to write what was found, as JSON")
    parser.add_argument("--claim", action="append", choices=CLAIMS, help="only this claim")
    parser.add_argument("--layout", action="append", help="only this layout, as the table of failures names it")
    parser.add_argument("--quick", action="store_true", help="few layouts")
    parser.add_argument("--minutes", type=int, help="stop then; the next run goes on with the rest")
    parser.add_argument("--until-refuted", action="store_true", help="stop at the first counterexample")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count(), help="processes")
    args = parser.parse_args()
    args.about = fingerprint(args.library)
    tasks = [(claim, numbers) for claim in args.claim or CLAIMS for numbers in layouts_of(claim, args.quick)]
    if args.layout:
        tasks = [task for task in tasks if str(Layout(*task[1])) in args.layout]
    found = prove_all(args, tasks)
    if not args.until_refuted:
        print(f"{'claim':>5} {'layouts':>9} {'paths':>6} {'seconds':>7} verdict")
        for one in table(found, args.quick):
            print("{claim:>5} {layouts:4}/{of:4} {paths:6} {seconds:7} {verdict}: {text}".format(**one))
    return 0 if len(found) == len(tasks) and all(one["verdict"] == "held" for one in found) else NOT_HELD


if __name__ == "__main__":
    sys.exit(main())
