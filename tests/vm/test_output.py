"""A command that talks without end takes no more memory than one that does not."""

from __future__ import annotations

from random import Random

from server.vm import output
from server.vm.output import Output


def heard(said: str, random: Random) -> str:
    stream, at = Output(), 0
    while at < len(said):
        size = random.randint(1, output.HALF)
        stream.hear(said[at : at + size])
        at += size
    return stream.text()


def test_what_fits_is_kept_to_the_letter() -> None:
    said = "".join(Random(1).choices("abc\n", k=output.MOST))
    assert heard(said, Random(2)) == said


def test_of_what_does_not_fit_the_beginning_and_the_end_are_kept() -> None:
    for seed in range(5):
        said = "".join(Random(seed).choices("abc\n", k=3 * output.MOST + 17 + seed))
        kept = heard(said, Random(seed))
        first, told, last = kept[: output.HALF], kept[output.HALF : -output.HALF], kept[-output.HALF :]
        assert (first, last) == (said[: output.HALF], said[-output.HALF :])
        assert told.strip() == f"… {len(said) - output.MOST} characters left out …"


def test_what_was_heard_takes_no_more_than_a_few_times_what_is_kept() -> None:
    stream = Output()
    for _ in range(200):
        stream.hear("y\n" * 2**16)
        assert sum(map(len, stream._said)) <= 2 * output.MOST + 2**17  # pyright: ignore[reportPrivateUsage] - its memory is what this is about
