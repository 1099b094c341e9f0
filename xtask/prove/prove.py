"""Proves the claims about a built shim, and prints a table. `cargo xtask prove` calls it."""

import argparse
import json
import multiprocessing
import sys
import time

from claims import CLAIMS
from machine import Layout, Machine, NotShown, Refuted

ORDERS_AND_WIDTHS = [(order, width) for order in ("le", "be") for width in range(1, 9)]
ORDERS_AND_WIDTHS += [(order, width) for order in ("varint", "minimal") for width in range(1, 11)]
OFFSETS = (0, 1, 2, 9)
STARTS = (0, 2)
QUICK = [("le", 4, 0), ("be", 3, 2), ("be", 8, 1), ("varint", 10, 1), ("minimal", 3, 0)]


def layouts_of(claim, quick):
    """The layouts for which a claim is proved. The first one knows neither offset nor width."""
    if claim == "1":
        return [(order, 1, 0, 0) for order in Layout.ORDERS]
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
    seconds = time.process_time() - before
    return {
        "claim": claim,
        "layout": str(layout),
        "paths": paths,
        "seconds": seconds,
        "verdict": verdict,
        "counterexample": counterexample,
    }


def prove_all(library, tasks, jobs, until_refuted):
    """Proves all, with a line of progress, and returns what was found."""
    found = []
    before = time.monotonic()
    with multiprocessing.Pool(jobs, begin, [library]) as pool:
        for one in pool.imap_unordered(prove, tasks):
            found.append(one)
            if one["verdict"] != "held" and not until_refuted:
                print(f"\r\x1b[Kclaim {one['claim']}, {one['layout']}: {one['verdict']}")
                print(one["counterexample"] or "", end="")
            seconds = time.monotonic() - before
            text = f"{len(found)} of {len(tasks)}, {seconds:.0f} s: claim {one['claim']}, {one['layout']}"
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            if until_refuted and one["counterexample"]:
                pool.terminate()
                break
    print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return found


def table(found):
    """The rows of the table: each claim, with what it took, and whether it held for all layouts."""
    rows = []
    for claim, function in CLAIMS.items():
        of_claim = [one for one in found if one["claim"] == claim]
        if of_claim:
            rows.append(row(claim, function.__doc__, of_claim))
    wrong_result = [one for one in found if one["counterexample"] and "found=panic" not in one["counterexample"]]
    without_panic = [one | {"verdict": "held"} if one in wrong_result else one for one in found]
    rows.append(row("6", "No path of all these reaches a panic.", without_panic))
    return sorted(rows, key=lambda one: one["claim"])


def row(claim, text, found):
    """A row over these results."""
    failed = [one for one in found if one["verdict"] != "held"]
    return {
        "claim": claim,
        "text": " ".join(text.split()),
        "layouts": len(found),
        "paths": sum(one["paths"] for one in found),
        "seconds": round(sum(one["seconds"] for one in found), 1),
        "verdict": f"not held for {len(failed)}" if failed else "held",
    }


def main():
    """Reads the arguments, proves, prints, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="the built shim")
    parser.add_argument("--figures", required=True, help="where to write what was found, as JSON")
    parser.add_argument("--claim", action="append", choices=CLAIMS, help="only this claim")
    parser.add_argument("--layout", action="append", help="only this layout, as the table of failures names it")
    parser.add_argument("--quick", action="store_true", help="few layouts")
    parser.add_argument("--until-refuted", action="store_true", help="stop at the first counterexample")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count(), help="processes")
    args = parser.parse_args()
    tasks = [(claim, numbers) for claim in args.claim or CLAIMS for numbers in layouts_of(claim, args.quick)]
    if args.layout:
        tasks = [task for task in tasks if str(Layout(*task[1])) in args.layout]
    before = time.monotonic()
    found = prove_all(args.library, tasks, args.jobs, args.until_refuted)
    rows = table(found)
    if not args.until_refuted:
        print(f"{'claim':>5} {'layouts':>7} {'paths':>6} {'seconds':>7} verdict")
        for one in rows:
            print("{claim:>5} {layouts:7} {paths:6} {seconds:7} {verdict}: {text}".format(**one))
    figures = {"quick": args.quick, "seconds": round(time.monotonic() - before), "claims": rows, "found": found}
    with open(args.figures, "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=1)
    return 0 if all(one["verdict"] == "held" for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
