"""How CloudWatch evaluates alarms, minute by minute.

Follows the CloudWatch user guide: "Alarm evaluation" (every minute, over a sliding window), "Configuring how CloudWatch
alarms treat missing data" (more periods are fetched than are evaluated, and missing data is filled in only if all of them
together do not have enough data) and "Using math expressions with CloudWatch metrics" (FILL, IF, comparisons).
Only the forms of expressions in our templates are supported; any other is an error. Mute rules follow "Alarm mute rules" and
"How alarm mute rules work".
"""
import re
from bisect import bisect_left, insort
from functools import cache

# How many periods are fetched beyond EvaluationPeriods. The guide's example fetches 5 for 3, and says that the number varies;
# so every promise must hold for each of these.
BEYOND = (2, 3, 5, 10)

BREACHES = {
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
}


def state(points, alarm, before):
    """The state from the fetched periods, newest first: True if a period breaches, None if it is missing."""
    wanted = alarm["EvaluationPeriods"]
    needed = alarm.get("DatapointsToAlarm", wanted)
    there = [point for point in points if point is not None][:wanted]
    missing = wanted - len(there)
    breaching = sum(there)
    if breaching >= needed:
        return "ALARM"
    if missing == 0:
        return "OK"
    treated = alarm["TreatMissingData"]
    if treated == "breaching":
        return "ALARM" if breaching + missing >= needed else "OK"
    if treated == "notBreaching":
        return "OK"
    if treated == "ignore":
        return "OK" if False in there else before
    raise KeyError(treated)


def queries(alarm):
    """(id, metric, statistic, period) of each metric, and the expression over them or the one metric's id."""
    if "MetricName" in alarm:
        return [("m", _key(alarm), alarm["Statistic"], alarm["Period"])], "m"
    metrics, expression = [], None
    for it in alarm["Metrics"]:
        if "Expression" in it:
            assert it["ReturnData"] and expression is None, "one expression, which the alarm evaluates"
            expression = it["Expression"]
        else:
            stat = it["MetricStat"]
            metrics.append((it["Id"], _key(stat["Metric"]), stat["Stat"], stat["Period"]))
    return metrics, expression


def _key(metric):
    dimensions = frozenset((it["Name"], it["Value"]) for it in metric["Dimensions"])
    return metric["Namespace"], metric["MetricName"], dimensions


class Data:
    """The data sent to CloudWatch: by metric, (stamp, arrival, value), all in minutes."""

    def __init__(self):
        self._all = {}

    def put(self, metric, stamp, arrival, value):
        insort(self._all.setdefault(metric, []), (stamp, arrival, value))

    def value(self, metric, statistic, start, end, now):
        """The statistic of the data that is stamped within a period and has arrived by now, or None."""
        data = self._all.get(metric, [])
        there = data[bisect_left(data, (start,)):bisect_left(data, (end,))]
        values = [value for _, arrival, value in there if arrival <= now]
        return {"Maximum": max, "Minimum": min}[statistic](values) if values else None


def fetched(alarm, data, now, beyond):
    """Whether each period fetched at a moment breaches, newest first; None if it is missing."""
    metrics, expression = queries(alarm)
    breaches = BREACHES[alarm["ComparisonOperator"]]
    points = []
    for back in range(alarm["EvaluationPeriods"] + beyond):
        values = {}
        for name, metric, statistic, seconds in metrics:
            period = seconds / 60
            start = now - (back + 1) * period
            values[name] = data.value(metric, statistic, start, start + period, now)
        value = compute(expression, values)
        points.append(None if value is None else breaches(value, alarm["Threshold"]))
    return points


def compute(expression, values):
    """The value of an expression for one period, None if it has none."""
    names = {name: Value(value) for name, value in values.items()}
    return eval(compiled(expression), KNOWN | names).value  # the templates' own text


@cache
def compiled(expression):
    words = re.sub(r"\bAND\b", "&", re.sub(r"\bOR\b", "|", expression))
    for operator, function in (("<=", "at_most"), (">=", "at_least")):
        words = re.sub(rf"(FILL\(\w+, 0\)|\w+){operator}(\d+)", rf"{function}(\1,\2)", words)
    return compile(words, expression, "eval")


class Value:
    """The number of one period, or None."""

    def __init__(self, value):
        self.value = value

    # A missing operand of a logical operator is 0 if the other one exists (user guide, "Comparison and logical operators").
    def __and__(self, other):
        return self._logical(other, lambda a, b: a and b)

    def __or__(self, other):
        return self._logical(other, lambda a, b: a or b)

    def _logical(self, other, truth):
        if self.value is None and other.value is None:
            return Value(None)
        return Value(int(bool(truth(self.value or 0, other.value or 0))))


def fill(value, filler):
    return Value(filler) if value.value is None else value


def choose(condition, yes, no):
    return condition if condition.value is None else Value(yes if condition.value else no)


def at_most(value, bound):
    return value if value.value is None else Value(int(value.value <= bound))


def at_least(value, bound):
    return value if value.value is None else Value(int(value.value >= bound))


def holds(rule, in_alarm):
    """Whether a composite's rule holds while exactly the alarms with these names are in ALARM."""
    truth = re.sub(r'ALARM\("([^"]+)"\)', lambda hit: str(hit[1] in in_alarm), rule)
    words = re.sub(r"\b(AND|OR|NOT)\b", lambda hit: hit[1].lower(), truth)
    assert re.fullmatch(r"[()\s]|(\b(and|or|not|True|False)\b|[()\s])+", words), rule
    return eval(words)  # only the operators above


def begins(expression, moment):
    """Whether a mute rule's schedule begins at this minute, in its time zone: five fields of numbers, names, lists and ranges."""
    (fields,) = re.findall(r"^cron\((.*)\)$", expression)
    minute, hour, day, month, weekday = fields.split(" ")
    months = dict(zip("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), range(1, 13)))
    days = dict(zip("SUN MON TUE WED THU FRI SAT".split(), range(7)))
    return (moment.minute in _field(minute, 0, 59) and moment.hour in _field(hour, 0, 23) and moment.day in _field(day, 1, 31)
            and moment.month in _field(month, 1, 12, months) and moment.isoweekday() % 7 in _field(weekday, 0, 7, days))


def _field(text, low, high, names=None):
    """The values that a field admits. Sunday is 0 and 7."""
    def number(word):
        value = names[word] if names and word in names else int(word)
        assert low <= value <= high, text
        return value
    values = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        values |= {*range(low, high + 1)} if part == "*" else {*range(number(first), number(last or first) + 1)}
    return {0 if high == 7 and value == 7 else value for value in values}


def minutes_of(duration):
    """The minutes of a duration in ISO 8601's form, of hours and minutes."""
    hours, minutes = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?", duration).groups()
    return int(hours or 0) * 60 + int(minutes or 0)


def acts(states, muted):
    """(moment, state) of each run of an alarm's actions, from its (moment, state): at a change, or at the end of the window that
    muted it if the alarm is still in that state."""
    before, owed = "OK", None
    for moment, is_now in states:
        if is_now != before:
            owed = is_now
        if owed is not None and not muted(moment):
            yield moment, owed
            owed = None
        before = is_now


KNOWN = {"FILL": fill, "IF": choose, "at_most": at_most, "at_least": at_least, "__builtins__": {}}


def play(alarms, composites, data, moments):
    """(periods fetched beyond EvaluationPeriods, moment, alarms in ALARM, composites in ALARM). Alarms start as OK."""
    states = {beyond: {it["AlarmName"]: "OK" for it in alarms} for beyond in BEYOND}
    for now in moments:
        points = {it["AlarmName"]: fetched(it, data, now, max(BEYOND)) for it in alarms}
        for beyond, its in states.items():
            for it in alarms:
                name = it["AlarmName"]
                its[name] = state(points[name][:it["EvaluationPeriods"] + beyond], it, its[name])
            in_alarm = {name for name, is_now in its.items() if is_now == "ALARM"}
            yield beyond, now, in_alarm, {it["AlarmName"] for it in composites if holds(it["AlarmRule"], in_alarm)}
