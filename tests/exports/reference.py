"""What the CSV and the reports must say, computed straight from visitors.

Reads {"exposures": path, "events": path, "zone": name, "windows": [[begin, end], ...]} and answers,
for each window of days (end excluded), {"cells": [...], "reports": [...]}. It shares nothing with the
queries or with sumsq: no sums of squares in the reports, but two passes over the visitors, in whole
numbers (cents), and scipy's t distribution.
"""

import collections
import csv
import datetime
import fractions
import json
import math
import sys
import zoneinfo

from scipy import stats

WINDOW = datetime.timedelta(hours=168)
MAX_CENTS = 100_000_000
UTC = datetime.timezone.utc
GOALS = ["purchase", "add_to_cart", "orders", "net_revenue"]
# Each with its unit: what a visitor has is a whole number of it.
METRICS = [
    ("purchase", "rate", 1),
    ("add_to_cart", "rate", 1),
    ("orders", "rate", 1),
    ("orders", "value", 100),
    ("net_revenue", "value", 100),
]


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def exposures(path, before):
    """The first exposure of each agent's visitor."""
    first = {}
    for row in csv.DictReader(open(path, newline="")):
        if not row["visitor_id"] or not row["variation"] or moment(row["exposed_at"]) >= before:
            continue
        # Of two at one instant, the first by its codes; what is missing sorts first.
        order = (moment(row["exposed_at"]), row["variation"], row["policy"], row["loyalty_status"], row["device"])
        key = (row["agent"], row["visitor_id"])
        if key not in first or order < first[key][0]:
            first[key] = (order, row)
    return {key: row for key, (_, row) in first.items()}


def cents(event, text):
    value = float(text) if text else math.nan
    if not math.isfinite(value):
        return 0
    amount = round(fractions.Fraction(text) * 100)
    if event == "refund":
        return -abs(amount) if abs(amount) <= MAX_CENTS else 0
    return amount if 0 <= amount <= MAX_CENTS else 0


def events(path):
    """Each event once, by visitor."""
    once = {}
    for row in csv.DictReader(open(path, newline="")):
        if row["event"] in ("add-to-cart", "order", "refund"):
            known = once.setdefault(row["event_id"], row)
            if moment(row["occurred_at"]) < moment(known["occurred_at"]):
                once[row["event_id"]] = row
    by_visitor = collections.defaultdict(list)
    for row in once.values():
        by_visitor[row["visitor_id"]].append((moment(row["occurred_at"]), row["event"], cents(row["event"], row["amount"])))
    return by_visitor


def visitors(asked, begin, end):
    zone = zoneinfo.ZoneInfo(asked["zone"])
    midnight = lambda day: datetime.datetime.combine(day, datetime.time(), zone).astimezone(UTC)
    happened = events(asked["events"])
    for (agent, visitor), row in exposures(asked["exposures"], midnight(end)).items():
        seen = moment(row["exposed_at"])
        day = seen.astimezone(zone).date()
        if not begin <= day < end:
            continue
        counted = [e for e in happened[visitor] if seen <= e[0] < min(seen + WINDOW, midnight(end))]
        orders = [e for e in counted if e[1] == "order"]
        yield {
            "key": (day, agent, row["variation"], row["policy"] or "r"),
            "traits": {"loyalty-status": row["loyalty_status"] or "none", "device": row["device"] or "unknown"},
            ("purchase", "rate"): min(1, len(orders)),
            ("add_to_cart", "rate"): sum(e[1] == "add-to-cart" for e in counted),
            ("orders", "rate"): len(orders),
            ("orders", "value"): sum(e[2] for e in orders),
            ("net_revenue", "rate"): len(orders),
            ("net_revenue", "value"): sum(e[2] for e in counted if e[1] != "add-to-cart"),
        }


def decimal(units, digits):
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), 10**digits)
    return f"{sign}{whole}.{rest:0{digits}d}"


def cells(people):
    groups = collections.defaultdict(list)
    for person in people:
        for trait in [("", ""), *person["traits"].items()]:
            groups[person["key"] + trait].append(person)
    answer = []
    for (day, *codes), members in groups.items():
        seconds = (day - datetime.date(1970, 1, 1)).days * 86400
        row = [str(seconds), *codes, str(len(members))]
        for goal in GOALS:
            counts = [m[goal, "rate"] for m in members]
            row += [str(sum(counts)), str(sum(x * x for x in counts))]
            if (goal, "value") in members[0]:
                values = [m[goal, "value"] for m in members]
                row += [decimal(sum(values), 2), decimal(sum(x * x for x in values), 4)]
        answer.append(row)
    return sorted(answer)


def arm(values, unit):
    n, total = len(values), sum(values)
    # Two passes, exactly: the sum of squared distances from the mean, times n squared.
    distances = sum((n * x - total) ** 2 for x in values)
    variance = fractions.Fraction(distances, n * n * (n - 1) * unit * unit)
    return {
        "visitors": n,
        "mean": float(fractions.Fraction(total, n * unit)),
        "variance": float(variance),
        "standardError": math.sqrt(variance / n),
        "exact": (fractions.Fraction(total, n * unit), variance / n),
    }


def compare(variation, a, b):
    (mean_a, va), (mean_b, vb) = a["exact"], b["exact"]
    difference, error = float(mean_b - mean_a), math.sqrt(va + vb)
    df = float((va + vb) ** 2 / (va**2 / (a["visitors"] - 1) + vb**2 / (b["visitors"] - 1)))
    half = float(stats.t.isf(0.025, df)) * error
    t = difference / error
    return {
        "variation": variation,
        "difference": difference,
        "standardError": error,
        "degreesOfFreedom": df,
        "t": t,
        "p": float(2 * stats.t.sf(abs(t), df)),
        "interval": [difference - half, difference + half],
    }


def report(people, goal, metric, unit):
    arms = collections.defaultdict(list)
    for person in people:
        arms[person["key"][2]].append(person[goal, metric])
    arms = {variation: arm(values, unit) for variation, values in sorted(arms.items())}
    (_, baseline), *others = arms.items()
    comparisons = [compare(variation, baseline, other) for variation, other in others]
    shown = [{"variation": variation, **{k: v for k, v in values.items() if k != "exact"}} for variation, values in arms.items()]
    return {"arms": shown, "comparisons": comparisons}


def reports(people):
    groups = collections.defaultdict(list)
    for person in people:
        groups[person["key"][1], person["key"][3]].append(person)
    for (agent, policy), members in sorted(groups.items()):
        for goal, metric, unit in METRICS:
            asked = {"agent": agent, "policy": policy, "goal": goal, "metric": metric}
            yield {**asked, "trait": None, **report(members, goal, metric, unit)}
            for group in members[0]["traits"]:
                for value in sorted({m["traits"][group] for m in members}):
                    some = [m for m in members if m["traits"][group] == value]
                    yield {**asked, "trait": [group, value], **report(some, goal, metric, unit)}


asked = json.load(sys.stdin)
answers = []
for window in asked["windows"]:
    people = list(visitors(asked, *map(datetime.date.fromisoformat, window)))
    answers.append({"cells": cells(people), "reports": list(reports(people))})
json.dump(answers, sys.stdout)
