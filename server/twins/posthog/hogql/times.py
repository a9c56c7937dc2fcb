"""HogQL's functions of time, and the arithmetic that may be with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.posthog.hogql.function import Function, number, plain, time
from server.twins.posthog.hogql.nodes import HogQLError
from server.twins.posthog.hogql.sql import Sql, built

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.twins.posthog.hogql.sql import Type

    Render = Callable[[list[Sql]], Sql]

UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
_PARTS = {
    "toYear": "year",
    "toQuarter": "quarter",
    "toMonth": "month",
    "toDayOfMonth": "day",
    "toDayOfWeek": "isoweekday",
    "toDayOfYear": "yday",
    "toHour": "hour",
    "toMinute": "minute",
    "toSecond": "second",
    "toYYYYMM": "yyyymm",
    "toYYYYMMDD": "yyyymmdd",
}
_ODD_MINUTES = {"Five": 5, "Ten": 10, "Fifteen": 15}


def shift(sign: str) -> Render:
    """`plus` and `minus`: of numbers, or of a time and an interval."""

    def render(args: list[Sql]) -> Sql:
        left, right = args
        if "Interval" not in (left.type, right.type):
            return built(f"({{}} {sign} {{}})", number(left), number(right), type=wider(left, right))
        if right.type != "Interval":
            if sign == "-":
                raise HogQLError("An interval can be taken from a time, not a time from an interval")
            left, right = right, left
        count, unit = _interval(right)
        return built(f"hog_add({{}}, {sign}{{}}, '{unit}')", time(left), count, type="DateTime64")

    return render


def wider(*args: Sql) -> Type:
    return "Int" if all(arg.type in ("Int", "UInt") for arg in args) else "Float"


def _interval(value: Sql) -> tuple[Sql, str]:
    """How many, and of what."""
    if value.type != "Interval":
        raise HogQLError("An interval is expected, as in INTERVAL 7 DAY")
    unit, _, count = value.text.partition(" ")
    return Sql(count, value.values), unit


def _interval_of(unit: str) -> Function:
    return Function(1, 1, lambda args: Sql(f"{unit} {args[0].text}", args[0].values, "Interval"))


def _start_of(unit: str, count: int = 1) -> Function:
    def render(args: list[Sql]) -> Sql:
        mode = args[1] if len(args) > 1 else Sql("0")
        found = built(f"hog_start('{unit}', {{}}, {count}, {{}})", time(args[0]), mode, type="DateTime")
        return found if unit in ("second", "minute", "hour", "day") else built("substr({}, 1, 10)", found, type="Date")

    return Function(1, 2, render)


def _start_of_interval(args: list[Sql]) -> Sql:
    count, unit = _interval(args[1])
    return built(f"hog_start('{unit}', {{}}, {{}}, 1)", time(args[0]), count, type="DateTime")


def _date_add(sign: str) -> Function:
    """`dateAdd('day', 1, x)` and `dateAdd(x, INTERVAL 1 DAY)`."""

    def render(args: list[Sql]) -> Sql:
        if len(args) == 2:  # noqa: PLR2004 - a time and an interval
            return shift(sign)(args)
        return built(f"hog_add({{}}, {sign}{{}}, {{}})", time(args[2]), args[1], _unit(args[0]), type="DateTime64")

    return Function(2, 3, render)


def _add_of(unit: str, sign: str) -> Function:
    template = f"hog_add({{}}, {sign}{{}}, '{unit}')"
    return Function(2, 2, lambda args: built(template, time(args[0]), args[1], type="DateTime64"))


def _unit(value: Sql) -> Sql:
    unit = str(value.values[0]).lower().rstrip("s") if value.constant else ""
    if unit not in UNITS:
        raise HogQLError(f"Unknown unit: {value.values[0] if value.constant else 'it must be a constant'}")
    return Sql(f"'{unit}'")


def _truncated(args: list[Sql]) -> Sql:
    return built("hog_start({}, {}, 1, 1)", _unit(args[0]), time(args[1]), type="DateTime")


def _difference(args: list[Sql]) -> Sql:
    return built("hog_diff({}, {}, {})", _unit(args[0]), time(args[1]), time(args[2]), type="Int")


def _monday(args: list[Sql]) -> Sql:
    return built("substr(hog_start('week', {}, 1, 1), 1, 10)", time(args[0]), type="Date")


def _constant(sql: str, kind: Type) -> Function:
    return Function(0, 0, lambda _: Sql(sql, (), kind, nullable=False))


TIME_FUNCTIONS: dict[str, Function] = {
    "now": _constant("hog_now()", "DateTime"),
    "today": _constant("substr(hog_now(), 1, 10)", "Date"),
    "yesterday": _constant("substr(hog_add(hog_now(), -1, 'day'), 1, 10)", "Date"),
    "toDateTime": Function(1, 2, lambda args: built("hog_time({})", args[0], type="DateTime")),
    "toDate": plain("substr({}, 1, 10)", "Date", prepare=time),
    "toUnixTimestamp": plain("hog_unix({})", "Int", prepare=time),
    "fromUnixTimestamp": plain("hog_from_unix({})", "DateTime", prepare=number),
    "formatDateTime": Function(2, 3, lambda args: built("hog_format({}, {})", time(args[0]), args[1], type="String")),
    "toStartOfInterval": Function(2, 2, _start_of_interval),
    "dateTrunc": Function(2, 2, _truncated),
    "dateDiff": Function(3, 3, _difference),
    "dateAdd": _date_add("+"),
    "dateSub": _date_add("-"),
    "toMonday": Function(1, 1, _monday),
    **{f"toStartOf{unit.capitalize()}": _start_of(unit) for unit in UNITS},
    **{f"toStartOf{name}Minutes": _start_of("minute", count) for name, count in _ODD_MINUTES.items()},
    **{f"toInterval{unit.capitalize()}": _interval_of(unit) for unit in UNITS},
    **{f"add{unit.capitalize()}s": _add_of(unit, "+") for unit in UNITS},
    **{f"subtract{unit.capitalize()}s": _add_of(unit, "-") for unit in UNITS},
    **{name: plain(f"hog_part('{part}', {{}})", "Int", prepare=time) for name, part in _PARTS.items()},
}
