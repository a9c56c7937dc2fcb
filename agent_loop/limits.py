"""What a run may use, what it has used, and what that cost."""

from __future__ import annotations

from dataclasses import dataclass, field

MILLION = 1_000_000


@dataclass(frozen=True)
class Usage:
    """Tokens of one model turn, or of many. `input` excludes what the cache held."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def prompt(self) -> int:
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        return self.prompt + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens, for prompts of at most `up_to` tokens."""

    input: float
    output: float
    cache_write: float
    cache_read: float
    up_to: int = 10 * MILLION

    def of(self, usage: Usage) -> float:
        return (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_write * self.cache_write
            + usage.cache_read * self.cache_read
        ) / MILLION


# Anthropic, "Pricing" and the models' overview pages, November 2026. Where a page names no price for cache
# reads, the usual tenth of the input price: too dear at worst, so a budget still holds.
PRICES: dict[str, tuple[Price, ...]] = {
    "claude-opus-5-5": (Price(4, 20, 5, 0.20),),
    "claude-sonnet-5-5": (Price(2, 10, 2.50, 0.10),),
    "claude-haiku-5-5": (Price(0.10, 0.50, 0.125, 0.01, up_to=100_000), Price(0.50, 2.50, 0.625, 0.05)),
    "claude-fable-5-2": (Price(8, 40, 10, 0.80),),
    "rehearsal": (Price(0, 0, 0, 0),),
}


def price_of(model_id: str, prompt_tokens: int) -> Price | None:
    """What this model asks for a prompt of this length; None when its price is not known here."""
    bands = PRICES.get(model_id, ())
    return next((price for price in bands if prompt_tokens <= price.up_to), bands[-1] if bands else None)


@dataclass(frozen=True)
class Limits:
    """Hard limits of one run.

    `tokens` counts everything read and written, cached or not. `dollars` binds only where the model's price
    is known. `seconds` is time at work: a night between a crash and its resumption is not charged.
    """

    turns: int = 60
    tokens: int = 5 * MILLION
    dollars: float | None = 5.0
    seconds: float = 1800
    check_rounds: int = 2
    """How often failed checks go back to the model."""
    output_tokens: int = 32_000
    """The most one turn may write."""
    provision_seconds: float = 1800
    """How long to wait for the session, before the first turn and outside `seconds`."""


@dataclass
class Budget:
    """What one run has used so far. `dollars` is None when the model's price is not known."""

    limits: Limits
    model_id: str
    turns: int = 0
    usage: Usage = field(default_factory=Usage)
    dollars: float | None = 0.0
    ms: int = 0

    def __post_init__(self) -> None:
        if price_of(self.model_id, 0) is None:
            self.dollars = None

    def charge(self, usage: Usage, ms: int) -> None:
        """One model turn."""
        self.turns += 1
        self.usage += usage
        self.ms += ms
        price = price_of(self.model_id, usage.prompt)
        if price is not None and self.dollars is not None:
            self.dollars += price.of(usage)

    def spent(self) -> str:
        """Why no further turn may begin, as a sentence; empty while one may."""
        limits = self.limits
        if self.turns >= limits.turns:
            return f"The run used its {limits.turns} turns."
        if self.usage.total >= limits.tokens:
            return f"The run used its {limits.tokens:,} tokens."
        if limits.dollars is not None and self.dollars is not None and self.dollars >= limits.dollars > 0:
            return f"The run used its budget of ${limits.dollars:.2f}."
        if self.seconds_left() <= 0:
            return self.out_of_time()
        return ""

    def out_of_time(self) -> str:
        return f"The run used its {self.limits.seconds:g} seconds."

    def seconds_left(self) -> float:
        return self.limits.seconds - self.ms / 1000

    def room(self) -> int:
        """How many tokens the next turn may write: at least one, at most what the budget can pay for."""
        room = min(self.limits.output_tokens, self.limits.tokens - self.usage.total)
        price = price_of(self.model_id, self.usage.prompt)
        if price and price.output and self.limits.dollars is not None and self.dollars is not None:
            room = min(room, int((self.limits.dollars - self.dollars) / price.output * MILLION))
        return max(1, room)
