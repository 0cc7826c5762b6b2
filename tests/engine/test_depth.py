"""Samples of any depth become the 8-bit picture they were made from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pcb_aoi.engine.image.depth import depth, to_8_bit

PICTURE = np.random.default_rng(7).integers(0, 256, (64, 96), dtype=np.uint8)
PICTURE[0, :2] = 0, 255


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_a_camera_of_any_depth_gives_the_picture_of_8_bits(bits: int, channels: tuple[int, ...]) -> None:
    picture = np.broadcast_to(PICTURE[..., None], (*PICTURE.shape, 3)) if channels else PICTURE
    samples = picture.astype(np.uint16) << (bits - 8)
    assert depth(samples, 16) == bits
    assert (to_8_bit(samples) == picture).all()


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("burnt", [1, 4])
def test_burnt_pixels_do_not_darken_the_rest(bits: int, burnt: int) -> None:
    samples = PICTURE.astype(np.uint16) << (bits - 8)
    samples[-1, -burnt:] = 40_000
    out = to_8_bit(samples)
    assert (out[:-1] == PICTURE[:-1]).all()
    assert (out[-1, -burnt:] == 255).all()


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("rows", [1, 6, 15])
def test_a_white_stamp_does_not_darken_the_rest(bits: int, rows: int) -> None:
    """A frame grabber writes date and scale in the container's white, over up to a quarter of the picture."""
    samples = PICTURE.astype(np.uint16) << (bits - 8)
    samples[:rows] = 65_535
    out = to_8_bit(samples)
    assert (out[rows:] == PICTURE[rows:]).all()
    assert (out[:rows] == 255).all()


def test_a_true_16_bit_picture_with_few_bright_places_keeps_its_depth() -> None:
    """A dark field: the ground nearly black, one hole in fifty shining."""
    samples = np.full((200, 200), 3_000, np.uint16)
    samples[:20, :40] = np.linspace(5_000, 64_000, 800, dtype=np.uint16).reshape(20, 40)
    assert depth(samples, 16) == 16
    assert to_8_bit(samples)[-1, -1] == 3_000 >> 8


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_signed_samples_have_their_zero_in_the_middle(dtype: type[np.signedinteger[Any]]) -> None:
    bits = np.dtype(dtype).itemsize * 8
    samples = ((PICTURE.astype(np.int64) << (bits - 8)) - (1 << (bits - 1))).astype(dtype)
    assert (to_8_bit(samples) == PICTURE).all()


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_signed_samples_that_are_never_negative_are_read_as_unsigned(dtype: type[np.signedinteger[Any]]) -> None:
    assert (to_8_bit(PICTURE.astype(dtype) << 4) == PICTURE).all()


def test_32_bits_over_their_whole_range() -> None:
    assert (to_8_bit(PICTURE.astype(np.uint32) << 24) == PICTURE).all()


@pytest.mark.parametrize("top", [1.0, 255.0, 4095.0, 65535.0])
def test_floats_are_fractions_of_white_or_whole_numbers(top: float) -> None:
    out = to_8_bit((PICTURE / 255 * top).astype(np.float32))
    assert np.abs(out.astype(int) - PICTURE).max() <= 1


def test_a_burnt_float_does_not_make_the_others_whole_numbers() -> None:
    samples = (PICTURE / 255).astype(np.float32)
    samples[-1, -1] = 1e9
    assert np.abs(to_8_bit(samples)[:-1].astype(int) - PICTURE[:-1]).max() <= 1


def test_what_is_no_number_is_black() -> None:
    samples = (PICTURE / 255).astype(np.float32)
    samples[0, :3] = np.nan, np.inf, -np.inf
    assert to_8_bit(samples)[0, :3].tolist() == [0, 0, 0]


@pytest.mark.parametrize("bits", [1, 2, 4, 12, 14])
def test_a_depth_that_the_file_names_is_believed(bits: int) -> None:
    """A crop of its dark part is scaled as the board is."""
    top = (1 << bits) - 1
    levels = np.linspace(0, top, 9).astype(np.uint16)
    expected = levels * 255 // top if bits < 8 else levels >> (bits - 8)
    assert (to_8_bit(levels, bits) == expected).all()
    assert (to_8_bit(levels[:5], bits) == expected[:5]).all()


@given(
    hnp.arrays(
        st.sampled_from(
            [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64, np.bool_]
        ),
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=12),
    )
)
def test_any_samples_give_8_bits_of_the_same_shape(samples: npt.NDArray[Any]) -> None:
    out = to_8_bit(samples)
    assert out.dtype == np.uint8
    assert out.shape == samples.shape


@given(hnp.arrays(np.uint16, (9, 9)), st.integers(0, 80))
def test_more_light_never_makes_a_pixel_darker(samples: npt.NDArray[np.uint16], at: int) -> None:
    """Within one picture: the order of grey levels stays."""
    order = np.argsort(samples, axis=None, kind="stable")
    assert (np.diff(to_8_bit(samples).reshape(-1)[order].astype(int)) >= 0).all()
