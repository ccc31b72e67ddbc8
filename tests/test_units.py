import pytest
from hypothesis import given
from hypothesis import strategies as st

from slugkit.units import human_growth, human_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 2**20),
        ("512B", 512),
        ("900K", 900 * 2**10),
        ("120MiB", 120 * 2**20),
        (" 1.5 GiB ", 3 * 2**29),
    ],
)
def test_sizes_are_numbers_with_units_of_1024(text: str, size: int) -> None:
    """A size is a number of bytes, or of K, M or G, with or without the iB that says powers of 1024."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "M", "-1M", "1MB", "1kB", "1k", "1TiB", "1 0M", "1e3", "1,5M", "٣M", "1M\n2", "0x10", "1iB", "9" * 20]
)
def test_what_may_mean_two_things_is_no_size(text: str) -> None:
    """MB could be 1000 or 1024 kilobytes: what is not plain is refused, by name."""
    with pytest.raises(ValueError, match="not a size such as 120MiB") as caught:
        parse_size(text)
    assert repr(text) in str(caught.value)


@given(st.integers(0, 2**40))
def test_what_is_printed_can_be_read(size: int) -> None:
    """A size read from its printed form is the same size as far as it was printed."""
    assert human_size(parse_size(human_size(size))) == human_size(size)


@given(st.integers(-(2**40), 2**40))
def test_growth_bears_its_sign(size: int) -> None:
    """What grew has a plus, what shrank a minus, what stayed neither."""
    shown = human_growth(size)

    assert shown.lstrip("+-") == human_size(abs(size))
    assert (shown[0] == "+", shown[0] == "-") == (size > 0, size < 0)
