"""HogQL's functions in SQLite. A function that is not here is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.twins.posthog.hogql.function import ANY_NUMBER, Function, number, plain, text
from server.twins.posthog.hogql.nodes import HogQLError
from server.twins.posthog.hogql.sql import Sql, built, listed
from server.twins.posthog.hogql.times import TIME_FUNCTIONS, shift, wider

if TYPE_CHECKING:
    from server.twins.posthog.hogql.sql import Type


def call(name: str, args: list[Sql]) -> Sql:
    """Raises `HogQLError` for a function nobody knows and for a wrong number of arguments."""
    function = FUNCTIONS.get(name) or FUNCTIONS.get(_BY_LOWER.get(name.lower(), ""))
    if function is None:
        raise HogQLError(f"Unsupported function call '{name}(...)'")
    if not function.least <= len(args) <= function.most:
        few = f"at least {function.least}" if function.most == ANY_NUMBER else f"{function.least}"
        raise HogQLError(f"Function '{name}' expects {few} arguments, found {len(args)}")
    return function.render(args)


def json_path(keys: list[str]) -> str:
    if any('"' in key for key in keys):
        raise HogQLError("A property whose name holds a quotation mark cannot be read by this local PostHog")
    return "$" + "".join(f'."{key}"' for key in keys)


def _if(args: list[Sql]) -> Sql:
    """`if` and `multiIf`: conditions and values in turn, then what holds otherwise."""
    *pairs, otherwise = args
    if len(pairs) % 2:
        raise HogQLError(f"multiIf expects an odd number of arguments, found {len(args)}")
    whens = " ".join("when {} then {}" for _ in pairs[::2])
    return built(f"case {whens} else {{}} end", *pairs, otherwise, type=pairs[1].type)


def _coalesce(args: list[Sql]) -> Sql:
    told = next((arg for arg in args if arg.type != "Any"), args[0])
    return built("coalesce({})", listed(args), type=told.type, nullable=args[-1].nullable)


def _of_all(name: str, kind: Type | None = None) -> Function:
    """A function of however many arguments."""
    return Function(1, ANY_NUMBER, lambda args: built(f"{name}({{}})", listed(args), type=kind or args[0].type))


def _numeric(template: str, count: int) -> Function:
    return Function(count, count, lambda args: built(template, *map(number, args), type=wider(*args)))


def _round(args: list[Sql]) -> Sql:
    return built("round({})", listed([number(args[0]), *args[1:]]), type="Float")


def _substring(args: list[Sql]) -> Sql:
    return built("substr({})", listed([text(args[0]), *args[1:]]), type="String")


def _extract(kind: Type, template: str) -> Function:
    """`JSONExtractString(text, 'a', 'b')`."""

    def render(args: list[Sql]) -> Sql:
        if not all(arg.constant for arg in args[1:]):
            raise HogQLError("Only constants may name what to extract from JSON")
        path = json_path([str(arg.values[0]) for arg in args[1:]])
        return built(template, args[0], Sql("?", (path,)), type=kind)

    return Function(1, ANY_NUMBER, render)


def _row(args: list[Sql]) -> Sql:
    """A whole event as one value, which the events query calls `*`. No function of PostHog's."""
    pairs = [_in_row(arg) for arg in args]
    return built("json_object({})", listed(pairs), type="Row")


def _in_row(value: Sql) -> Sql:
    if value.type == "Properties":
        return built("json({})", value)
    return built("replace({}, ' ', 'T') || 'Z'", value) if value.type == "DateTime64" else value


FUNCTIONS: dict[str, Function] = {
    **TIME_FUNCTIONS,
    # arithmetic
    "plus": Function(2, 2, shift("+")),
    "minus": Function(2, 2, shift("-")),
    "multiply": _numeric("({} * {})", 2),
    "modulo": _numeric("({} % {})", 2),
    "negate": _numeric("(-{})", 1),
    "abs": _numeric("abs({})", 1),
    "divide": plain("hog_divide({}, {})", "Float", 2, number),
    "intDiv": plain("cast(hog_divide({}, {}) as integer)", "Int", 2, number),
    "floor": plain("floor({})", "Float", prepare=number),
    "ceil": plain("ceil({})", "Float", prepare=number),
    "round": Function(1, 2, _round),
    "greatest": _of_all("max"),
    "least": _of_all("min"),
    # conditions
    "if": Function(3, 3, _if),
    "multiIf": Function(3, ANY_NUMBER, _if),
    "coalesce": Function(1, ANY_NUMBER, _coalesce),
    "ifNull": Function(2, 2, _coalesce),
    "nullIf": Function(2, 2, lambda args: built("nullif({}, {})", *args, type=args[0].type)),
    "isNull": plain("({} is null)", "Int"),
    "isNotNull": plain("({} is not null)", "Int"),
    "not": plain("(not coalesce({}, 0))", "Int"),
    "empty": plain("(coalesce({}, '') = '')", "Int"),
    "notEmpty": plain("(coalesce({}, '') <> '')", "Int"),
    # texts
    "toString": plain("{}", "String", prepare=text),
    "toInt": plain("cast({} as integer)", "Int", prepare=number),
    "toFloat": plain("{}", "Float", prepare=number),
    "toBool": plain("({} in ('true', '1', 1))", "Int"),
    "lower": plain("lower({})", "String", prepare=text),
    "upper": plain("upper({})", "String", prepare=text),
    "length": plain("length({})", "Int", prepare=text),
    "trim": plain("trim({})", "String", prepare=text),
    "concat": _of_all("hog_concat", "String"),
    "substring": Function(2, 3, _substring),
    "replaceAll": plain("replace({}, {}, {})", "String", 3),
    "replaceRegexpAll": plain("hog_replace_regexp({}, {}, {})", "String", 3),
    "startsWith": plain("hog_starts({}, {})", "Int", 2, text),
    "endsWith": plain("hog_ends({}, {})", "Int", 2, text),
    "position": plain("instr({}, {})", "Int", 2, text),
    "extract": plain("hog_extract({}, {})", "String", 2),
    "splitByChar": plain("hog_split({}, {})", "Array", 2),
    "splitByString": plain("hog_split({}, {})", "Array", 2),
    "arrayElement": plain("json_extract({}, '$[' || ({} - 1) || ']')", "Any", 2),
    # JSON
    "JSONExtractString": _extract("String", "coalesce({} ->> {}, '')"),
    "JSONExtractInt": _extract("Int", "cast(coalesce({} ->> {}, 0) as integer)"),
    "JSONExtractFloat": _extract("Float", "cast(coalesce({} ->> {}, 0) as real)"),
    "JSONExtractBool": _extract("Int", "coalesce({} ->> {}, 0)"),
    "JSONExtractRaw": _extract("String", "coalesce({} -> {}, '')"),
    "JSONHas": _extract("Int", "(json_type({}, {}) is not null)"),
    "jsonRow": Function(0, ANY_NUMBER, _row),
}
_BY_LOWER = {name.lower(): name for name in FUNCTIONS}
