"""HogQL's aggregates in SQLite, each also with `If`: `countIf(condition)`, `sumIf(value, condition)`."""

from __future__ import annotations

from dataclasses import dataclass

from server.twins.posthog.hogql.function import number
from server.twins.posthog.hogql.nodes import HogQLError
from server.twins.posthog.hogql.sql import Sql, Type, built


@dataclass(frozen=True)
class Aggregate:
    template: str
    type: Type | None = None
    """None for that of its argument."""
    numeric: bool = False
    args: int = 1


_ALL: dict[str, Aggregate] = {
    "count": Aggregate("count({})", "UInt"),
    "uniq": Aggregate("count(distinct {})", "UInt"),
    "uniqExact": Aggregate("count(distinct {})", "UInt"),
    "sum": Aggregate("coalesce(sum({}), 0)", None, numeric=True),
    "avg": Aggregate("avg({})", "Float", numeric=True),
    "min": Aggregate("min({})"),
    "max": Aggregate("max({})"),
    "any": Aggregate("min({})"),
    "anyLast": Aggregate("max({})"),
    "median": Aggregate("hog_quantile(0.5, {})", "Float", numeric=True),
    "quantile": Aggregate("hog_quantile({level}, {})", "Float", numeric=True),
    "groupArray": Aggregate("hog_array({})", "Array"),
    "groupUniqArray": Aggregate("hog_array(distinct {})", "Array"),
    "argMax": Aggregate("hog_arg(1, {}, {})", None, args=2),
    "argMin": Aggregate("hog_arg(-1, {}, {})", None, args=2),
}
_BY_LOWER = {name.lower(): name for name in _ALL}


def is_aggregate(name: str) -> bool:
    return _found(name) is not None


def aggregate(name: str, args: list[Sql], parameters: list[Sql], *, distinct: bool) -> Sql:
    found = _found(name)
    assert found is not None  # noqa: S101 - asked before
    known, conditional = found
    about, condition = (args[:-1], args[-1]) if conditional and args else (args, None)
    if conditional and condition is None:
        raise HogQLError(f"Aggregation '{name}' expects a condition")
    about = [number(arg) for arg in about] if known.numeric else about
    if not about and known.template == "count({})":
        value = Sql("count(*)", (), "UInt", nullable=False)
    elif len(about) != known.args:
        raise HogQLError(
            f"Aggregation '{name}' expects {known.args} argument{'s' * (known.args > 1)}, found {len(about)}"
        )
    else:
        template = known.template.replace("({", "(distinct {", 1) if distinct else known.template
        if "{level}" in template:
            level = parameters[0].values[0] if parameters and parameters[0].constant else 0.5
            template = template.replace("{level}", str(float(level)))
        value = built(template, *about, type=known.type or about[0].type)
    if condition is None:
        return value
    return built(
        "{} filter (where {})" if known.template[:8] != "coalesce" else "coalesce({} filter (where {}), 0)",
        *_unwrapped(value, condition),
        type=value.type,
    )


def _unwrapped(value: Sql, condition: Sql) -> tuple[Sql, Sql]:
    """A filter must stand directly behind the aggregate it filters."""
    text = (
        value.text.removeprefix("coalesce(").removesuffix(", 0)")
        if value.text.startswith("coalesce(sum")
        else value.text
    )
    return Sql(text, value.values, value.type), condition


def _found(name: str) -> tuple[Aggregate, bool] | None:
    """The aggregate of this name, and whether it is the conditional one."""
    if known := _ALL.get(name) or _ALL.get(_BY_LOWER.get(name.lower(), "")):
        return known, False
    known = _ALL.get(name.removesuffix("If")) if name.endswith("If") else None
    return (known, True) if known else None
